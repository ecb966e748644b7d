"""Training: full fine-tuning and LoRA, one run at a time. Nothing is extracted here.

Where to find things:

    training_run  a job in, a finished run folder out
    saved_runs    finds finished runs again, and holds them to the files that they wrote
    options       how a model is trained
    methods       which parameters of the model train
    task_kinds/   for each kind of task: rows to features, predictions to metrics (`features`: what they share)
    fit           the optimisation itself
"""

from repdrift.training.features import require_ids_fit
from repdrift.training.methods import apply_method
from repdrift.training.options import LoraOptions, TrainingOptions, TrainingOverrides, resolve_options
from repdrift.training.saved_runs import FinishedRun, finished_runs, require_unchanged, require_whole, restore_or_train
from repdrift.training.training_run import TrainingJob, train, train_unless_claimed

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
    "require_whole",
    "resolve_options",
    "restore_or_train",
    "train",
    "train_unless_claimed",
]
