"""Options for memory and speed: what they change, what they must not change, and what they need."""

import pytest
import torch

from repdrift.core.errors import ConfigError, MissingDependencyError
from repdrift.models import load_task_model, resolve_model
from repdrift.training import Arm, prepared, tuning_kinds
from repdrift.training.length_groups import LengthGroups
from repdrift.training.options import TrainingOptions
from repdrift.training.trainer_needs import require_available, require_checkpointable
from repdrift.training.training_run import train
from tests.tiny_models import save_language_model
from tests.unit.training.test_prompt_learning import checkpointed
from tests.unit.training.test_training_run import _job


def _digest(model, data, folder, **options):
    return train(_job(model, data, **options), folder).record.weights_digest


@pytest.mark.parametrize(("model", "method"), [("tiny_bert", "full_finetune"), ("tiny_llama", "lora")])
def test_gradient_checkpointing_gives_the_same_bits(model, method, request, tiny_data, tmp_path):
    base = request.getfixturevalue(model)
    plain = _digest(base, tiny_data, tmp_path / "a", method=method)
    assert _digest(base, tiny_data, tmp_path / "b", method=method, gradient_checkpointing=True) == plain


def test_other_optimisers_and_batches_are_other_runs(tiny_bert, tiny_data, tmp_path):
    found = {
        _digest(tiny_bert, tiny_data, tmp_path / str(i), **options)
        for i, options in enumerate([{}, {"optimizer": "adafactor"}, {"group_by_length": True}])
    }
    assert len(found) == 3


def test_a_resumed_adafactor_with_length_groups_gives_the_same_bytes(tiny_bert, tiny_data, tmp_path, monkeypatch):
    from repdrift.training import fit as fitting
    from tests.unit.training.test_resuming import Stopped, _bytes, _case, _stop, killed_after

    case = _case("full_finetune", optimizer="adafactor", group_by_length=True, gradient_checkpointing=True)
    job = _job(tiny_bert, tiny_data, **case)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        killed_after(8, lambda name, value: patch.setattr(fitting._AfterStep, name, value), _stop)
        train(job, tmp_path / "stopped")
    resumed, whole = train(job, tmp_path / "stopped"), train(job, tmp_path / "whole")
    assert resumed.record.resumed_at == [6]
    assert _bytes(resumed) == _bytes(whole)


def test_length_groups_take_each_input_once_in_batches_of_like_length():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(4, 200, (1003,), generator=generator).tolist()
    order = LengthGroups(lengths, 8, seed=3)
    first = list(order)
    assert sorted(first) == list(range(1003))
    assert list(order) == first, "an epoch's order can be asked for again"
    order.set_epoch(1)
    assert list(order) != first
    assert list(LengthGroups(lengths, 8, seed=4)) != first
    batches = [[lengths[i] for i in first[at : at + 8]] for at in range(0, 1003, 8)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    assert padded < 1.1 * sum(lengths), "random batches pad to about 1.8 times"
    assert len(batches[-1]) == 3


def test_missing_packages_and_devices_are_said_before_training(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"report_to: tensorboard needs .*repdrift\[tensorboard\]"):
        require_available(TrainingOptions(report_to=("tensorboard",)))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="adamw_8bit runs on a CUDA GPU, and this machine has none"):
        require_available(TrainingOptions(optimizer="adamw_8bit"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(MissingDependencyError, match="needs the package 'bitsandbytes'"):
        require_available(TrainingOptions(optimizer="adamw_8bit"))


def test_a_model_without_gradient_checkpointing_is_named():
    with pytest.raises(ConfigError, match="transformers has none for Linear"):
        require_checkpointable(torch.nn.Linear(2, 2), TrainingOptions(gradient_checkpointing=True), Arm.of_kind("lora"))


def _gradients(base, kind, task_kind, *, recompute):
    torch.manual_seed(0)
    options = {"last": 1} if kind == "layers" else {}
    model = load_task_model(resolve_model(str(base)), task_kind, num_labels=2)
    require_checkpointable(model, TrainingOptions(gradient_checkpointing=recompute), Arm.of_kind(kind, **options))
    tuned: torch.nn.Module = prepared(model, Arm.of_kind(kind, **options), task_kind).model.train()
    for part in tuned.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():  # away from the start, where half of an adapter has no gradient
        for _, weight in sorted(tuned.named_parameters()):
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn(weight.shape, generator=noise))
    if recompute:
        checkpointed(tuned)
    ids = torch.arange(8, 20).repeat(2, 1)
    labels = ids if task_kind == "causal_lm" else torch.tensor([0, 1])
    tuned(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss.backward()
    return {name: weight.grad for name, weight in tuned.named_parameters() if weight.grad is not None}


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    return save_language_model(tmp_path_factory.mktemp("language_model"))


_MODELS = (("tiny_bert", "classification"), ("tiny_llama", "classification"), ("language_model", "causal_lm"))
_EVERY = [
    (name, task_kind, kind)
    for name, task_kind in _MODELS
    for kind in tuning_kinds.names()
    if tuning_kinds.get(kind).against_checkpointing is None and (name == "tiny_bert" or kind != "biases")
]


@pytest.mark.parametrize(("name", "task_kind", "kind"), _EVERY)
def test_every_kind_has_the_gradients_of_plain_training(name, task_kind, kind, request):
    base = request.getfixturevalue(name)
    plain, recomputed = (_gradients(base, kind, task_kind, recompute=recompute) for recompute in (False, True))
    assert plain.keys() == recomputed.keys()
    for weight, gradient in plain.items():
        torch.testing.assert_close(recomputed[weight], gradient, rtol=1e-4, atol=1e-6)
    assert any(gradient.abs().max() > 1e-6 for gradient in plain.values())


def test_a_kind_that_would_lose_its_prefix_is_refused_before_training(language_model):
    with pytest.raises(
        ConfigError, match=r"method 'prefix_tuning': .*the prefix would be lost. Leave gradient checkpoint"
    ):
        _gradients(language_model, "prefix_tuning", "causal_lm", recompute=True)
