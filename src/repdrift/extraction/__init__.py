"""Extraction: layer-wise representations of a trained model, after training."""

from repdrift.extraction.adapters import LoRARepresentationExtractor
from repdrift.extraction.extractor import RepresentationExtractor, extract
from repdrift.extraction.job import ExtractionJob, extract_set
from repdrift.extraction.options import ExtractionOptions
from repdrift.extraction.random_change import MatchedChange

__all__ = [
    "ExtractionJob",
    "ExtractionOptions",
    "LoRARepresentationExtractor",
    "MatchedChange",
    "RepresentationExtractor",
    "extract",
    "extract_set",
]
