"""Adapters on a 4-bit base model: what is quantised and how, that it trains, and that a kill changes nothing."""

import numpy as np
import peft
import pytest
import torch
import transformers
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.run import RunRecord
from repdrift.models import load_config, load_task_model, resolve_model, source_notes, task_skeleton
from repdrift.training import fit as fitting
from repdrift.training.arms import Arm, counted_tuning, prepared
from repdrift.training.memory_accounting import account
from repdrift.training.options import TrainingOptions
from repdrift.training.quantised_layers import four_bit_layers, quantise_blocks, statistics_of
from repdrift.training.resuming import start_sha256
from repdrift.training.training_run import train
from tests.oracles.architectures import ARCHITECTURES, model_of
from tests.tiny_models import save_bert, save_llama
from tests.unit.training.test_resuming import Stopped, _case, _stop, _weights_of, killed_after
from tests.unit.training.test_training_run import _job

pytest.importorskip("bitsandbytes")

NF4 = np.array(
    [-1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0.0, 0.0795803, 0.1609302, 0.2461123,
     0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0]
)  # fmt: skip
"""Dettmers et al. 2023, appendix E."""
BASE = {"base_bits": 4}
IDS = torch.arange(8, 20).repeat(2, 1)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("llama"), width=64)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"), width=64)


def loaded(base, kind="classification"):
    torch.manual_seed(3)
    return load_task_model(resolve_model(str(base)), kind, num_labels=2)


def rounded_to_nf4(weight):
    """The nearest of the 16 values in units of the largest of each 64 numbers, in float64."""
    flat = weight.double().numpy().ravel()
    found = np.empty_like(flat)
    for start in range(0, flat.size, 64):
        group = flat[start : start + 64]
        scale = np.abs(group).max()
        found[start : start + 64] = NF4[np.abs(group[:, None] / scale - NF4).argmin(1)] * scale
    return found.reshape(weight.shape)


@pytest.mark.parametrize("double", [False, True])
def test_only_the_linear_layers_of_the_blocks_become_nf4(double, llama):
    model, before = loaded(llama), dict(loaded(llama).named_parameters())
    found = quantise_blocks(model, double=double, compute_dtype="float32")
    moved = full = 0.0
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            inside = ".layers." in name
            assert (module in four_bit_layers(model)) == inside, name
            if inside:
                weight = before[f"{name}.weight"].detach()
                identity = torch.eye(module.in_features)
                after = module(identity).detach().T.double().numpy() - (
                    0 if module.bias is None else module.bias[:, None]
                )
                reference = rounded_to_nf4(weight)
                np.testing.assert_allclose(after, reference, atol=(0.02 if double else 1e-6) * np.abs(reference).max())
                moved += np.square(after - weight.double().numpy()).sum()
                full += np.square(weight.double().numpy()).sum()
    others = {n: p for n, p in model.named_parameters() if p.dtype != torch.uint8}
    assert all(torch.equal(p, before[n]) for n, p in others.items())
    assert found.matrices == len(four_bit_layers(model)) == 21
    assert found.parameters == sum(p.numel() for n, p in before.items() if ".layers." in n and p.ndim == 2)
    assert found.rounding == pytest.approx(float(np.sqrt(moved / full)), rel=1e-4)
    assert 0.03 < found.rounding < 0.15


def test_scores_along_the_way_leave_the_gradients_as_they_are(llama):
    model = prepared(loaded(llama), Arm.of_kind("lora", dropout=0.0, **BASE), "classification").model
    plain = prepared(loaded(llama), Arm.of_kind("lora", dropout=0.0, **BASE), "classification").model
    plain.load_state_dict({n: p for n, p in model.state_dict().items() if "lora_" in n or "score" in n}, strict=False)
    with torch.no_grad():
        scored = model.eval()(input_ids=IDS).logits
    torch.testing.assert_close(scored, plain(input_ids=IDS).logits)
    losses = [m.train()(input_ids=IDS, labels=torch.tensor([0, 1])).loss for m in (model, plain)]
    for loss in losses:
        loss.backward()
    ours, theirs = ({n: p.grad for n, p in m.named_parameters() if p.requires_grad} for m in (model, plain))
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], msg=name)
    assert all(gradient.abs().sum() > 0 for name, gradient in ours.items() if "lora_B" in name)


def test_a_run_learns_saves_a_plain_adapter_and_says_what_its_scores_are_of(bert, tiny_data, tmp_path):
    case = {"epochs": 6, "batch_size": 4, "checkpoint_every": 9, "learning_rate": 0.02}
    job = _job(bert, tiny_data, method="lora", arm_options={**BASE, "dropout": 0.0}, **case)
    run = train(job, tmp_path)
    lines = [
        line for line in (run.folder / "history.jsonl").read_text().splitlines() if '"loss":' in line and "grad" in line
    ]
    losses = [float(line.split('"loss": ')[1].split(",")[0]) for line in lines]
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])
    tuning = RunRecord.read(run.folder / "run.json").tuning
    assert tuning is not None
    assert tuning.quantised_base is not None
    assert tuning.words == "LoRA on a 4-bit base, rank 8, dropout 0.0"
    plain = prepared(loaded(bert), Arm.of_kind("lora"), "classification").model
    assert tuning.model_copy(update={"quantised_base": None, "words": "", "options": {}}) == counted_tuning(
        plain, Arm.of_kind("lora"), "classification"
    ).model_copy(update={"words": "", "options": {}})
    assert any("scores in this record are those of the model that trained" in note for note in run.record.data_notes)
    whole = peft.PeftModel.from_pretrained(loaded(bert), run.folder / "final_model")
    assert {n for n, _ in whole.named_parameters()} == {n for n, _ in plain.named_parameters()}
    for step in ("final_model", "checkpoints/step_000009"):
        notes = source_notes(resolve_model(str(run.folder / step)))
        assert [note for note in notes if "trained its adapter on a 4-bit base model" in note], step


def test_base_weights_do_not_move(llama):
    model = prepared(loaded(llama), Arm.of_kind("lora", **BASE), "classification").model
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    scales = [s.clone() for s in statistics_of(model)]
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    for _ in range(2):
        model.train()(input_ids=IDS, labels=torch.tensor([0, 1])).loss.backward()
        optimiser.step()
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved
    assert all("lora_" in name or "modules_to_save" in name for name in moved)
    assert all(torch.equal(s, b) for s, b in zip(statistics_of(model), scales, strict=True))


@pytest.mark.parametrize("options", [{}, {"compute_dtype": "bfloat16", "dora": True}])
def test_a_killed_run_goes_on_to_the_same_bytes(options, bert, tiny_data, tmp_path, monkeypatch):
    job = _job(
        bert, tiny_data, **{**_case("lora", checkpoint_every=1), "epochs": 2, "arm_options": {**BASE, **options}}
    )
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        killed_after(3, lambda name, value: patch.setattr(fitting._AfterStep, name, value), _stop)
        train(job, tmp_path / "stopped")
    resumed, whole = train(job, tmp_path / "stopped"), train(job, tmp_path / "whole")
    assert resumed.record.resumed_at == [2]
    assert _weights_of(resumed) == _weights_of(whole)
    assert resumed.record.metrics == whole.record.metrics


def test_a_state_of_a_base_that_was_rounded_otherwise_is_told_apart(bert):
    model = prepared(loaded(bert), Arm.of_kind("lora", **BASE), "classification").model
    before = start_sha256(model, {})
    four_bit_layers(model)[0].weight.data[0, 0] ^= 1
    assert start_sha256(model, {}) != before


@pytest.mark.parametrize("double", [False, True])
def test_account_has_the_bytes_of_the_real_weights(double, llama):
    arm = Arm.of_kind("lora", double_quantisation=double, **BASE)
    model = prepared(loaded(llama), arm, "classification").model
    tensors = [*model.parameters(), *model.buffers(), *statistics_of(model)]
    config = load_config(resolve_model(str(llama)))
    sketch = prepared(task_skeleton(config, "classification", num_labels=2), arm, "classification").model
    assert counted_tuning(sketch, arm, "classification") == counted_tuning(model, arm, "classification")
    found = account(sketch, "classification", TrainingOptions(), batch=4, length=16)
    assert found.weights == sum(t.numel() * t.element_size() for t in tensors)
    plain = prepared(task_skeleton(config, "classification", num_labels=2), Arm.of_kind("lora"), "classification").model
    full = account(plain, "classification", TrainingOptions(), batch=4, length=16)
    assert (found.gradients, found.optimizer) == (full.gradients, full.optimizer)


def test_a_layer_that_keeps_its_weight_the_other_way_round_gives_the_same_products():
    model = model_of(ARCHITECTURES["gpt2"], transformers.AutoModelForCausalLM, n_embd=64).float()
    expected = model(input_ids=IDS % 50).logits
    found = prepared(model, Arm.of_kind("lora", **BASE), "causal_lm")
    assert found.quantised.matrices == 4 * len(model.transformer.h)
    logits = found.model.eval()(input_ids=IDS % 50).logits
    assert 1e-4 < (logits - expected).norm() / expected.norm() < 0.3


def test_what_cannot_be_quantised_is_refused(bert):
    model = loaded(bert)
    model.config.quantization_config = {"quant_method": "bitsandbytes"}
    with pytest.raises(ModelError, match="quantised already"):
        prepared(model, Arm.of_kind("lora", **BASE), "classification")
    model = loaded(bert)
    with pytest.raises(ModelError, match="rank 99 is larger than the smaller side of"):
        prepared(model, Arm.of_kind("lora", rank=99, **BASE), "classification")


@pytest.mark.usefixtures("wrong_four_bits")
def test_a_weight_that_the_library_brings_back_wrongly_is_refused(tiny_llama):
    with pytest.raises(ModelError, match=r"does not bring back a 4-bit weight of shape \(\d+, \d+\) as it was stored"):
        prepared(loaded(tiny_llama), Arm.of_kind("lora", **BASE), "classification")
