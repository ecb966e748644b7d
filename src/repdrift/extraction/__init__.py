"""Extraction: reads layer-wise representations out of a model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repdrift.extraction.extracting import extract
    from repdrift.extraction.extractor import RepresentationExtractor
    from repdrift.extraction.job import ExtractionJob
    from repdrift.extraction.lora_matrices import LoRARepresentationExtractor
    from repdrift.extraction.matched_change import MatchedChange
    from repdrift.extraction.options import ExtractionOptions
    from repdrift.extraction.set_extraction import extract_set
    from repdrift.extraction.sink_search import find_sinks

__all__ = [
    "ExtractionJob",
    "ExtractionOptions",
    "LoRARepresentationExtractor",
    "MatchedChange",
    "RepresentationExtractor",
    "extract",
    "extract_set",
    "find_sinks",
]

_MODULES = {
    "ExtractionJob": "job",
    "ExtractionOptions": "options",
    "LoRARepresentationExtractor": "lora_matrices",
    "MatchedChange": "matched_change",
    "RepresentationExtractor": "extractor",
    "extract": "extracting",
    "extract_set": "set_extraction",
    "find_sinks": "sink_search",
}


def __getattr__(name: str) -> Any:
    # The command line reads the options' descriptions for --help, and must not wait for torch.
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
