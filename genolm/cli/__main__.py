"""``python -m genolm.cli`` is ``genolm``."""

from genolm.cli.main import main

main()
