"""What is said where an assumption does not hold: how far off a test or an interval may then be, and what follows."""

from __future__ import annotations

from benchmarks.calibration.cells import Limit
from benchmarks.calibration.models import Study


def model_limit(name: str, study: Study) -> Limit | None:
    """The stated limit of a procedure over models in a study; None where all its assumptions hold."""
    del name, study
    return None
