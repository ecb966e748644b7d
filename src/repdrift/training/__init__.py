"""Training: full fine-tuning and LoRA, one run at a time. Nothing is extracted here."""

from repdrift.training.folders import finished_runs
from repdrift.training.options import LoraOptions, TrainingOptions, TrainingOverrides, resolve_options
from repdrift.training.run import TrainingJob, train

__all__ = [
    "LoraOptions",
    "TrainingJob",
    "TrainingOptions",
    "TrainingOverrides",
    "finished_runs",
    "resolve_options",
    "train",
]
