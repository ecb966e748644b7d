"""Checkpoints: where they lie, what they score, and which one is kept."""

import json
from dataclasses import fields

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from repdrift.core.errors import ConfigError
from repdrift.core.records.run import RunRecord
from repdrift.training import TrainingOptions, train
from repdrift.training.checkpoints import CheckpointSchedule, CheckpointScores, checkpoint_steps, log_spaced_steps
from repdrift.training.scores import Scored
from tests.unit.training.test_training_run import _job


def test_checkpoints_on_a_log_scale_are_different_steps_from_the_first_to_the_last():
    assert log_spaced_steps(8, 1000) == [1, 3, 7, 19, 52, 139, 373, 1000]
    assert log_spaced_steps(3, 100) == [1, 10, 100]
    assert log_spaced_steps(1, 100) == [100]
    for total in range(1, 60):
        for count in range(1, 70):
            steps = log_spaced_steps(count, total)
            assert len(steps) == min(count, total)
            assert steps == sorted(set(steps))
            assert steps[-1] == total
            assert count == 1 or steps[0] == 1


def test_steps_of_both_ways_to_say_them():
    assert checkpoint_steps(TrainingOptions(checkpoint_every=4), 10) == [4, 8]
    assert checkpoint_steps(TrainingOptions(checkpoints=2), 10) == [1, 10]
    assert checkpoint_steps(TrainingOptions(), 10) == []
    with pytest.raises(ValueError, match=r"either checkpoint_every \(in steps\) or checkpoints"):
        TrainingOptions(checkpoint_every=4, checkpoints=2)
    with pytest.raises(ConfigError, match="keep: best chooses among checkpoints, and none are saved"):
        TrainingOptions(keep="best").require_choice()


def test_new_options_leave_the_keys_of_older_runs_as_they_are():
    older = TrainingOptions(precision="float32", held_out=0.5).for_key()
    assert list(older) == [
        "epochs", "learning_rate", "batch_size", "gradient_accumulation_steps", "weight_decay", "warmup_ratio", "scheduler",
        "max_length", "doc_stride", "max_train_samples", "precision", "checkpoint_every",
    ]  # fmt: skip
    best = TrainingOptions(checkpoints=3, keep="best").for_key()
    assert (best["checkpoints"], best["keep"], best["held_out"]) == (3, "best", 0.2)


def test_what_is_done_at_a_checkpoint_is_done_after_its_step_only():
    reached = []
    schedule = CheckpointSchedule([2, 5], reached.append)
    for step in range(1, 7):
        schedule.after_step(step)
    assert reached == schedule.saved == [2, 5]


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_scoring_checkpoints_changes_no_weight_and_the_last_score_is_that_of_the_run(tiny_bert, tiny_data, tmp_path):
    plain = train(_job(tiny_bert, tiny_data), tmp_path)
    scored = train(_job(tiny_bert, tiny_data, checkpoints=2), tmp_path)
    a, b = weights(plain.folder / "final_model"), weights(scored.folder / "final_model")
    assert all(torch.equal(a[name], b[name]) for name in a)
    record = RunRecord.read(scored.folder / "run.json")
    assert record.checkpoints == [1, 3]
    assert record.checkpoint_scores is not None
    assert list(record.checkpoint_scores) == [1, 3]
    assert record.checkpoint_scores[3] == {k: v for k, v in record.metrics.items() if k != "train_loss"}
    assert (record.kept_step, record.held_out_scores) == (None, None)
    assert plain.record.checkpoint_scores == {}


def test_best_checkpoint_is_chosen_on_training_rows_that_were_held_out_and_is_the_final_model(
    tiny_bert, tiny_data, tmp_path
):
    job = _job(tiny_bert, tiny_data, checkpoints=3, keep="best", held_out=0.25, batch_size=4)
    run = train(job, tmp_path)
    record = run.record
    held = job.held_out()
    assert held is not None
    assert record.n_train == len(held.to_train.rows) == 18
    assert record.held_out_scores is not None
    best = max(record.held_out_scores.values())
    assert record.kept_step == min(step for step, score in record.held_out_scores.items() if score == best)
    kept = weights(run.folder / f"checkpoints/step_{record.kept_step:06d}")
    final = weights(run.folder / "final_model")
    assert all(torch.equal(kept[name], final[name]) for name in kept)
    assert record.checkpoint_scores is not None
    assert record.kept_step is not None
    assert record.checkpoint_scores[record.kept_step]["accuracy"] == record.metrics["accuracy"]
    assert any("6 of 24 training rows were held out" in note and "was kept" in note for note in record.data_notes)


def test_a_run_with_an_option_that_the_study_does_not_have_is_another_run(tiny_bert, tiny_data, tmp_path):
    job = _job(tiny_bert, tiny_data, checkpoints=2)
    record = train(job, tmp_path).record
    assert record.other_settings(job.hyperparameters()) == []
    without = _job(tiny_bert, tiny_data)
    assert record.other_settings(without.hyperparameters()) == ["checkpoints"]


def test_scores_that_a_state_holds_come_back_whole():
    scored = Scored(
        {"f1": 0.5},
        "f1",
        np.array([0.25, 0.75]),
        np.zeros(2),
        "no answer",
        ["a", "b"],
        ("said",),
        7,
        {"null_threshold": 1.5},
    )
    before = CheckpointScores("x", lambda: scored, lambda: scored)
    before.score(3)
    after = CheckpointScores("x", lambda: scored)
    after.restore(json.loads(json.dumps(before.as_json())))
    for found in (after.scored[3], after.held_out[3]):
        for field in fields(Scored):
            assert np.array_equal(getattr(found, field.name), getattr(scored, field.name)), field.name
