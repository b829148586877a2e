"""``python -m genolm`` is ``genolm``."""

from genolm.cli.main import main

main()
