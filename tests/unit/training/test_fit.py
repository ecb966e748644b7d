"""Training that diverges: NaN is found at once, said with run, step and learning rate, and nothing of the run is kept."""

import pytest
import torch
from torch import nn

from repdrift.core.errors import NonFiniteError
from repdrift.training import finished_runs, resumable_trainer, train
from repdrift.training import fit as fitting
from repdrift.training.features import PaddingCollator, predict
from tests.unit.training.test_training_run import _job


class Broken(nn.Module):
    """Logits that are NaN for inputs that begin with token 3."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, input_ids, **_):
        logits = torch.zeros(len(input_ids), 2)
        logits[input_ids[:, 0] == 3] = float("nan")
        return type("Output", (), {"logits": logits})


def multiplied_after(monkeypatch, step, factor):
    """Multiplies the head's weights after a step, as a learning rate that is far too high does."""
    real = fitting._AfterStep.on_step_end

    def on_step_end(self, args, state, control, **rest):
        real(self, args, state, control, **rest)
        if state.global_step == step:
            with torch.no_grad():
                rest["model"].classifier.weight.mul_(factor)

    monkeypatch.setattr(fitting._AfterStep, "on_step_end", on_step_end)


@pytest.mark.parametrize("method", ["full_finetune", "lora"])
def test_a_learning_rate_that_is_far_too_high_is_named_with_run_and_step(
    method, tiny_bert, tiny_data, tmp_path, monkeypatch
):
    if method == "full_finetune":
        multiplied_after(monkeypatch, 1, float("inf"))
    else:
        monkeypatch.setattr(nn.functional, "cross_entropy", _inf_from_the_second(nn.functional.cross_entropy))
    with pytest.raises(NonFiniteError) as caught:
        train(_job(tiny_bert, tiny_data, method=method, learning_rate=0.5, checkpoint_every=1), tmp_path)
    said = str(caught.value)
    assert f"sst2, {method}, seed 1: the loss is" in said
    assert "in step 2 of 3: training diverged. The learning rate is 0.5" in said
    assert "`learning_rate: 0.05`" in said
    assert [path.name for path in tmp_path.iterdir()] == [".claims"]
    assert not list(finished_runs(tmp_path))


def _inf_from_the_second(real):
    calls = []

    def cross_entropy(*arguments, **settings):
        calls.append(1)
        return real(*arguments, **settings) * (float("inf") if len(calls) > 1 else 1.0)

    return cross_entropy


def test_a_loss_that_is_finite_to_the_end_with_weights_that_are_not(tiny_bert, tiny_data, tmp_path, monkeypatch):
    multiplied_after(monkeypatch, 3, float("nan"))
    with pytest.raises(NonFiniteError, match=r"seed 1: weight .*classifier.* holds NaN or Inf after the last step"):
        train(_job(tiny_bert, tiny_data), tmp_path)
    assert not list(finished_runs(tmp_path))


def test_a_base_model_that_gives_nan_is_not_blamed_on_the_learning_rate(tiny_bert, tiny_data, tmp_path, monkeypatch):
    real = nn.functional.cross_entropy
    monkeypatch.setattr(nn.functional, "cross_entropy", lambda *a, **k: real(*a, **k) * float("nan"))
    with pytest.raises(NonFiniteError, match="the loss is nan in step 1 of 3, before any weight was changed"):
        train(_job(tiny_bert, tiny_data), tmp_path)


def test_outputs_of_nan_are_not_scored_as_a_class():
    features = [{"input_ids": [1, 2], "labels": 0}, {"input_ids": [3], "labels": 0}]
    with pytest.raises(NonFiniteError, match="NaN for evaluation input 2 of 2"):
        predict(Broken(), features, PaddingCollator(0), ("logits",), per_token=False)


def test_finite_training_is_what_it_was_without_the_checks(tiny_bert, tiny_data, tmp_path, monkeypatch):
    checked = train(_job(tiny_bert, tiny_data), tmp_path / "checked")
    monkeypatch.delattr(fitting.ResumableTrainer, "training_step")
    plain = train(_job(tiny_bert, tiny_data), tmp_path / "plain")
    assert checked.record.weights_digest == plain.record.weights_digest
    assert checked.record.metrics == plain.record.metrics


def test_memory_that_batches_of_many_lengths_leave_behind_goes_back_along_the_way(
    tiny_bert, tiny_data, tmp_path, monkeypatch
):
    given_back = []
    monkeypatch.setattr(resumable_trainer, "_STEPS_OF_KEEPING", 2)
    monkeypatch.setattr(resumable_trainer, "give_back_freed", lambda: given_back.append(1))
    train(_job(tiny_bert, tiny_data), tmp_path)
    assert len(given_back) == 3 // 2 * (not torch.accelerator.is_available())
