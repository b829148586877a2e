"""Model families as Hugging Face models; importing this registers them with the Auto classes."""

from genolm.models.auto import load, register
from genolm.models.build import build_model, preset_options
from genolm.models.configuration import maximum_length
from genolm.models.families import objective_of

__all__ = ["build_model", "load", "maximum_length", "objective_of", "preset_options", "register"]
