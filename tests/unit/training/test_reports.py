"""Losses that go to W&B by option: with the real client switched offline, and without a key."""

import json

import pytest

from repdrift.core.errors import ConfigError, StorageError
from repdrift.study.runs import planned_runs
from repdrift.study.training_stage import train_runs
from repdrift.training.options import TrainingOptions
from repdrift.training.trainer_needs import reporting_errors, require_available
from tests.tiny_models import sentence
from tests.unit.study.test_study_stores import study_in

KEY = "0123456789abcdef0123456789abcdef01234567"


def test_losses_go_to_an_offline_run_of_wandb_and_its_key_to_no_file(tiny_bert, tmp_path, monkeypatch, offline_wandb):
    for split, count in (("train", 16), ("validation", 12)):
        rows = [{"t": sentence(i, 3 + i % 6), "l": i % 2} for i in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    training = {"all": {"epochs": 1, "batch_size": 8, "max_length": 16, "learning_rate": 0.02, "report_to": ["wandb"]}}
    inputs = study_in(tmp_path, tmp_path, tiny_bert, None, training=training)
    (run,) = train_runs(inputs, planned_runs(inputs.config))
    (log,) = offline_wandb.glob("offline-run-*/*.wandb")
    assert b"train/loss" in log.read_bytes()
    assert run.record.hyperparameters.get("report_to") is None, "it is no part of the run's key"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_a_missing_or_refused_key_is_said_before_training(monkeypatch):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "online")
    options = TrainingOptions(report_to=("wandb",))
    monkeypatch.setattr(wandb, "login", lambda prompt: prompt)
    with pytest.raises(ConfigError, match=r"needs a key of W&B.*wandb login.*WANDB_MODE=offline"):
        require_available(options)

    def refuses(prompt):
        raise wandb.Error(f"the key {KEY} was refused, prompt {prompt}")

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(wandb, "login", refuses)
    with pytest.raises(ConfigError, match="was refused") as refused:
        require_available(options)
    assert KEY not in f"{refused.value!r} {refused.value.__cause__!r}"
    monkeypatch.setenv("WANDB_MODE", "offline")
    require_available(options)


def test_a_service_that_goes_away_while_the_run_begins_is_one_message():
    import wandb

    with (
        pytest.raises(StorageError, match="could not be reported to W&B: timed out"),
        reporting_errors(TrainingOptions(report_to=("wandb",))),
    ):
        raise wandb.Error("timed out")
    with pytest.raises(ValueError, match="ours"), reporting_errors(TrainingOptions()):
        raise ValueError("ours")
