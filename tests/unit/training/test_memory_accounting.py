"""The account of a training's memory against closed forms; benchmarks/training holds it to measured peaks."""

import pytest

from repdrift.models import load_config, resolve_model, task_skeleton
from repdrift.training.arms import Arm, prepared
from repdrift.training.memory_accounting import account
from repdrift.training.options import TrainingOptions


def _account(base, arm="full_finetune", *, batch=4, length=32, kind="classification", **options):
    config = load_config(resolve_model(str(base)))
    model = prepared(task_skeleton(config, kind, num_labels=2), Arm.of_kind(arm), kind).model
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    every = sum(p.numel() for p in model.parameters())
    return account(model, kind, TrainingOptions(**options), batch=batch, length=length), trained, every


@pytest.mark.parametrize("arm", ["full_finetune", "lora"])
def test_weights_gradients_and_adamw_are_4_4_and_8_bytes(arm, tiny_llama):
    found, trained, every = _account(tiny_llama, arm)
    assert found.gradients == 4 * trained
    assert found.optimizer == pytest.approx(8 * trained, rel=0.02)  # and a step's number for each tensor
    assert 4 * every <= found.weights < 4.1 * every  # and buffers
    assert found.peak >= found.weights + found.optimizer


def test_adafactor_keeps_next_to_nothing_and_8_bit_adamw_2_bytes(tiny_llama):
    full, trained, _ = _account(tiny_llama, optimizer="adafactor")
    assert full.optimizer < 0.6 * trained  # rows and columns of each matrix; these are 8 wide
    assert _account(tiny_llama, optimizer="adamw_8bit")[0].optimizer == 2 * trained


@pytest.mark.parametrize("base", ["tiny_bert", "tiny_llama"])
def test_what_the_backward_pass_keeps_grows_with_the_batch_and_shrinks_by_checkpointing(base, request):
    model = request.getfixturevalue(base)
    small, large = (_account(model, batch=batch)[0] for batch in (16, 64))
    assert 3 < (large.peak - large.weights - large.optimizer) / (small.peak - small.weights - small.optimizer) < 4.5
    checkpointed = _account(model, batch=64, gradient_checkpointing=True)[0]
    assert checkpointed.peak < 0.8 * large.peak


def test_what_cannot_be_played_through_is_not_known(tiny_llama):
    model = task_skeleton(load_config(resolve_model(str(tiny_llama))), "classification", num_labels=2)
    model.forward = lambda **inputs: float(inputs["input_ids"].sum())
    assert account(model, "classification", TrainingOptions(), batch=1, length=8) is None
