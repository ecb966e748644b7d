"""Training: any kind of tuning, one run at a time. Nothing is extracted here.

Where to find things:

    training_run  a job in, a finished run folder out
    kept_scores   every row's scores, kept beside run.json
    saved_scores  scores models that were trained before, row by row
    saved_runs    finds finished runs again, and holds them to the files that they wrote
    options       how a model is trained
    arms          the ways of tuning that a study compares
    tuning_kinds/ which parameters of the model train: one file for each kind (`tuning_kind`: what a kind is)
    quantised_layers the base model in 4 bits under an adapter that trains (`played_layers`: counted before)
    prompt_learning  what the kinds that train a learned prompt share
    task_kinds/   for each kind of task: rows to features, predictions to metrics (`features`: what they share)
    scores        a model's score on each row, and whether it has learnt: is it better than the best constant answer?
    checkpoints   the steps after which a run is saved and scored, and the choice of the best
    held_out_rows a part of the training rows that choices rest on
    tuning_trial  a training with another learning rate, scored on held-out training rows
    fit           the optimisation itself (`resumable_trainer`: transformers' Trainer with states of our own)
    resuming      when the state of a training is saved, and how it is found again (`training_state`: its files)
    history       loss and scores along the way, beside run.json
"""

from repdrift.training.arms import USUAL_ARMS, Arm, prepared
from repdrift.training.checkpoints import checkpoint_steps
from repdrift.training.features import require_ids_fit
from repdrift.training.kept_scores import kept_scores, scored_on
from repdrift.training.options import TrainingOptions, TrainingOverrides, resolve_options, shared_lora_options
from repdrift.training.prompt_room import require_room_for_prompt
from repdrift.training.saved_model import saved_bytes
from repdrift.training.saved_runs import FinishedRun, finished_runs, require_unchanged, require_whole, restore_or_train
from repdrift.training.saved_scores import SavedScorer, SavedScores, load_saved
from repdrift.training.trainer_needs import require_available, require_checkpointable
from repdrift.training.training_job import TrainingJob
from repdrift.training.training_run import train, train_unless_claimed
from repdrift.training.tuning_kind import tuning_kinds
from repdrift.training.tuning_kinds.lora import Lora, LoraOptions
from repdrift.training.tuning_trial import StopAfter, TrialSeries

__all__ = [
    "USUAL_ARMS",
    "Arm",
    "FinishedRun",
    "Lora",
    "LoraOptions",
    "SavedScorer",
    "SavedScores",
    "StopAfter",
    "TrainingJob",
    "TrainingOptions",
    "TrainingOverrides",
    "TrialSeries",
    "checkpoint_steps",
    "finished_runs",
    "kept_scores",
    "load_saved",
    "prepared",
    "require_available",
    "require_checkpointable",
    "require_ids_fit",
    "require_room_for_prompt",
    "require_unchanged",
    "require_whole",
    "resolve_options",
    "restore_or_train",
    "saved_bytes",
    "scored_on",
    "shared_lora_options",
    "train",
    "train_unless_claimed",
    "tuning_kinds",
]
