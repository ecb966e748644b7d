"""Training: full fine-tuning and LoRA, one run at a time. Nothing is extracted here.

Where to find things:

    training_run  a job in, a finished run folder out; finds finished runs again
    options       how a model is trained
    methods       which parameters of the model train
    task_kinds/   for each kind of task: rows to features, predictions to metrics (`features`: what they share)
    fit           the optimisation itself
"""

from repdrift.training.features import require_ids_fit
from repdrift.training.methods import apply_method
from repdrift.training.options import LoraOptions, TrainingOptions, TrainingOverrides, resolve_options
from repdrift.training.training_run import (
    FinishedRun,
    TrainingJob,
    finished_runs,
    require_unchanged,
    train,
    train_unless_claimed,
)

__all__ = [
    "FinishedRun",
    "LoraOptions",
    "TrainingJob",
    "TrainingOptions",
    "TrainingOverrides",
    "apply_method",
    "finished_runs",
    "require_ids_fit",
    "require_unchanged",
    "resolve_options",
    "train",
    "train_unless_claimed",
]
