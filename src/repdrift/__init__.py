"""repdrift: how fine-tuning moves a language model's representations, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repdrift.version import __version__

if TYPE_CHECKING:
    from repdrift.comparison import compare
    from repdrift.comparison.drift_callback import DriftCallback
    from repdrift.notebook.loading import load_results

__all__ = ["DriftCallback", "__version__", "compare", "load_results"]


def __getattr__(name: str) -> Any:
    # torch and transformers are imported when one of these is asked for, not with the package.
    if name == "compare":
        from repdrift.comparison import compare

        return compare
    if name == "DriftCallback":
        from repdrift.comparison.drift_callback import DriftCallback

        return DriftCallback
    if name == "load_results":
        from repdrift.notebook.loading import load_results

        return load_results
    raise AttributeError(f"module 'repdrift' has no attribute {name!r}")
