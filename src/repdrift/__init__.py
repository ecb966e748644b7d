"""repdrift: how fine-tuning moves a language model's representations, layer by layer."""

from repdrift.version import __version__

__all__ = ["__version__"]
