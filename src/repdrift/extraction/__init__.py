"""Extraction: layer-wise representations of a trained model, after training."""

from repdrift.extraction.extractor import RepresentationExtractor, extract
from repdrift.extraction.job import ExtractionJob, extract_set
from repdrift.extraction.lora_matrices import LoRARepresentationExtractor
from repdrift.extraction.matched_change import MatchedChange
from repdrift.extraction.options import ExtractionOptions

__all__ = [
    "ExtractionJob",
    "ExtractionOptions",
    "LoRARepresentationExtractor",
    "MatchedChange",
    "RepresentationExtractor",
    "extract",
    "extract_set",
]
