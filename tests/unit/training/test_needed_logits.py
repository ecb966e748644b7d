"""Logits are made for learnt tokens alone where that leaves the loss as it is, and for all tokens where it does not."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from repdrift.models import load_task_model, resolve_model
from repdrift.tasks import Rows, TaskSpec
from repdrift.tasks.continuation import Continuation
from repdrift.training import Arm, TrainingJob, TrainingOptions, train
from repdrift.training.arms import prepared
from repdrift.training.features import NO_LABEL
from repdrift.training.needed_logits import gives_needed_logits, loss_of_needed
from repdrift.training.resumable_trainer import ResumableTrainer
from tests.tiny_models import sentence

SPEC = TaskSpec("own", "causal_lm", ("prompt",), "completion", "own", continuation=Continuation())


@pytest.fixture(scope="module")
def base(tiny_language_model):
    return resolve_model(str(tiny_language_model))


@pytest.fixture
def model(base):
    return load_task_model(base, "causal_lm")


@pytest.fixture
def batch():
    """Three texts of 12, 9 and 12 tokens; two have completions at other places, and nothing of the third is learnt."""
    ids = torch.arange(5, 41).reshape(3, 12) % 30 + 3
    labels = torch.full_like(ids, NO_LABEL)
    labels[0, 9:12], labels[1, 5:9] = ids[0, 9:12], ids[1, 5:9]
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def rows_of(count):
    return [{"prompt": sentence(i, 4 + i % 9), "completion": sentence(i + 7, 1 + i % 4)} for i in range(count)]


def inputs_of(batch):
    return {name: value for name, value in batch.items() if name != "labels"}


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("items", [None, 3, torch.tensor(11)])
def test_loss_and_gradients_are_those_of_all_logits(model, batch, items):
    model.eval()
    own = model(**batch, **({} if items is None else {"num_items_in_batch": items})).loss
    expected = gradients(model, own)
    found = loss_of_needed(model, inputs_of(batch), batch["labels"], items)
    torch.testing.assert_close(found, own, rtol=1e-6, atol=0)
    for name, gradient in gradients(model, found).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-7)


def test_logits_are_made_only_before_learnt_tokens(model, batch):
    seen = []
    model.lm_head.register_forward_hook(lambda *passed: seen.append(tuple(passed[-1].shape[:2])))
    assert gives_needed_logits(model, batch)
    del seen[:]
    loss_of_needed(model, inputs_of(batch), batch["labels"])
    assert seen == [(3, 7)]  # positions 4 to 10, of 12


def test_no_learnt_token_has_no_loss(model, batch):
    batch["labels"][:] = NO_LABEL
    batch["labels"][:, 0] = 5  # the first token has nothing before it
    assert loss_of_needed(model, inputs_of(batch), batch["labels"]) is None


def test_a_term_of_the_models_own_is_not_lost(model, batch):
    kind = type(model)

    class WithOwnTerm(kind):
        def forward(self, input_ids=None, attention_mask=None, labels=None, logits_to_keep=0, **rest):
            out = super().forward(input_ids, attention_mask, labels=labels, logits_to_keep=logits_to_keep, **rest)
            if out.loss is not None:
                out.loss = out.loss + 1e-4 * out.logits.float().logsumexp(-1).square().mean()
            return out

    assert gives_needed_logits(model, batch)
    model.lm_head.weight.data *= 30  # logits as large as those of a trained model
    assert gives_needed_logits(model, batch)
    model.__class__ = WithOwnTerm
    assert not gives_needed_logits(model, batch)


def test_a_model_that_cannot_leave_out_logits_keeps_its_own_loss(model, batch, base):
    class Deaf(nn.Module):
        def forward(self, input_ids, attention_mask, labels=None):
            return model(input_ids, attention_mask, labels=labels)

    assert not gives_needed_logits(Deaf(), batch)
    assert not gives_needed_logits(model, batch | {"labels": torch.zeros(3, dtype=torch.long)})
    prompt = prepared(load_task_model(base, "causal_lm"), Arm.of_kind("prompt_tuning"), "causal_lm").model
    assert not gives_needed_logits(prompt, batch)
    adapted = prepared(load_task_model(base, "causal_lm"), Arm.of_kind("lora"), "causal_lm").model
    assert gives_needed_logits(adapted, batch)


def test_the_trial_changes_neither_weights_nor_random_numbers(model, batch):
    model.train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    gives_needed_logits(model, batch)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("method", ["full_finetune", "lora"])
@pytest.mark.parametrize("steps_of", [1, 3])
def test_training_gives_the_same_weights(base, tmp_path, monkeypatch, method, steps_of):
    rows, held = Rows(rows_of(24), "made"), Rows(rows_of(12), "made")
    options = TrainingOptions(
        epochs=1, batch_size=4, gradient_accumulation_steps=steps_of, max_length=32, learning_rate=1e-3
    )
    job = TrainingJob(SPEC, Arm.of_kind(method), 3, base, options, rows, held)
    used = []
    real = ResumableTrainer._leaves_out_logits
    monkeypatch.setattr(
        ResumableTrainer, "_leaves_out_logits", lambda self, inputs: used.append(real(self, inputs)) or used[-1]
    )
    with_needed = train(job, tmp_path / "needed")
    assert used
    assert all(used)
    monkeypatch.setattr(ResumableTrainer, "_leaves_out_logits", lambda *_: False)
    with_all = train(job, tmp_path / "all")
    assert with_needed.record.metrics["loss"] == pytest.approx(with_all.record.metrics["loss"], rel=1e-5)
    one, other = (
        load_file(next((run.folder / "final_model").glob("*.safetensors"))) for run in (with_needed, with_all)
    )
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], rtol=1e-3, atol=2e-5)
