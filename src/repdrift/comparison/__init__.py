"""Comparison of a base model with models tuned from it, without a study: models in, drift by layer out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repdrift.comparison.comparing import compare, compare_models
    from repdrift.comparison.options import ComparisonOptions
    from repdrift.comparison.tuned_model import TunedModel

__all__ = ["ComparisonOptions", "TunedModel", "compare", "compare_models"]

_MODULES = {
    "ComparisonOptions": "options",
    "TunedModel": "tuned_model",
    "compare": "comparing",
    "compare_models": "comparing",
}


def __getattr__(name: str) -> Any:
    # The command line reads the options' descriptions for --help, and must not wait for torch.
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
