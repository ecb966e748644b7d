"""Comparison of a base model with models tuned from it, without a study: models in, drift by layer out."""

from repdrift.comparison.inputs import compare
from repdrift.comparison.measure_models import compare_models
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import Candidate

__all__ = ["Candidate", "ComparisonOptions", "compare", "compare_models"]
