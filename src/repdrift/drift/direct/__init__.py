"""Models compared directly, with no representation on the disk: a base model and what was tuned from it, batch by batch."""

from repdrift.drift.direct.candidates import Candidate
from repdrift.drift.direct.compare import compare_models
from repdrift.drift.direct.options import ComparisonOptions

__all__ = ["Candidate", "ComparisonOptions", "compare_models"]
