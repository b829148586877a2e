"""What moved to genolm.console, so that training and scoring may use it too."""

from genolm.console import Meter, meter, say, say_more, set_verbosity, warn

__all__ = ["Meter", "meter", "say", "say_more", "set_verbosity", "warn"]
