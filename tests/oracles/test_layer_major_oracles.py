"""Layer-major extraction gives the numbers of sample-major extraction, for many architectures."""

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
)

from repdrift.core.errors import ModelError
from repdrift.extraction import extract
from repdrift.extraction.activation_store import ActivationStore
from repdrift.extraction.layer_major import run_layer_major
from repdrift.extraction.pooling import pool_for_batch
from repdrift.extraction.single_block import SingleBlockRunner
from repdrift.models import Blocks, load_backbone
from repdrift.models.checkpoint import estimated_bytes
from repdrift.models.lazy_model import load_lazy_model
from tests.oracles.architectures import DEPTH
from tests.oracles.checkpoints import (
    FAMILIES,
    a_few_batches,
    assert_same,
    blocks_of,
    layer_major,
    sample_major,
    saved,
    tiny_model,
)


@pytest.fixture
def batches():
    return a_few_batches()


@pytest.mark.parametrize("family", FAMILIES)
def test_block_by_block_is_the_same_as_batch_by_batch(tmp_path, batches, family):
    source = saved(tmp_path / "model", tiny_model(family))
    assert len(list(source.path.glob("*.safetensors"))) > 1
    model = load_backbone(source)
    expected = sample_major(model, batches, blocks_of(model, family))
    assert len(expected) == DEPTH * len(batches)
    assert_same(layer_major(source, batches), expected)


@pytest.mark.parametrize("family", ["llama", "mixtral", "gpt2", "bloom", "bert", "t5", "mamba"])
def test_half_precision_is_the_same_too(tmp_path, batches, family):
    source = saved(tmp_path / "model", tiny_model(family))
    model = load_backbone(source, dtype="bfloat16")
    expected = sample_major(model, batches, blocks_of(model, family))
    found = layer_major(source, batches, dtype="bfloat16")
    for key, hidden in found.items():
        assert hidden.dtype == expected[key].dtype
        assert torch.equal(hidden, expected[key])


@pytest.mark.parametrize(
    ("family", "auto_class"),
    [
        ("llama", AutoModelForCausalLM),
        ("llama", AutoModelForSequenceClassification),
        ("llama", AutoModelForQuestionAnswering),
        ("mixtral", AutoModelForCausalLM),
        ("gpt2", AutoModelForSequenceClassification),
        ("bert", AutoModelForQuestionAnswering),
        ("opt", AutoModelForCausalLM),
        ("t5", AutoModelForSequenceClassification),
    ],
)
def test_task_heads_are_left_in_the_file(tmp_path, batches, family, auto_class):
    model = tiny_model(family, auto_class)
    source = saved(tmp_path / "model", model)
    backbone = getattr(model, model.base_model_prefix)
    expected = sample_major(backbone, batches, blocks_of(backbone, family))
    assert_same(layer_major(source, batches), expected)


@pytest.mark.parametrize("family", ["llama", "t5", "bloom"])
def test_activations_in_a_file_give_equal_bits(tmp_path, batches, monkeypatch, family):
    stores = []

    class Watched(ActivationStore):
        def __exit__(self, *error):
            stores.append((self.memory_bytes, self.file_bytes))
            super().__exit__(*error)

    source = saved(tmp_path / "model", tiny_model(family))
    monkeypatch.setattr("repdrift.extraction.layer_major.ActivationStore", Watched)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    in_memory = layer_major(source, batches)
    for cap in (0, 1500):
        monkeypatch.setattr("repdrift.extraction.layer_major.ACTIVATION_CAP_BYTES", cap)
        spilled = layer_major(source, batches)
        memory_bytes, file_bytes = stores[-1]
        assert file_bytes > 0
        assert memory_bytes <= cap
        assert all(torch.equal(spilled[key], in_memory[key]) for key in in_memory)
    assert stores[0][1] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("family", ["llama", "albert", "deberta_v2_conv", "xlnet", "bart"])
def test_the_two_schedules_of_this_package_agree(tmp_path, batches, family):
    source = saved(tmp_path / "model", tiny_model(family))
    expected = extract(load_backbone(source), batches.samples, token_budget=30)
    found = {name: torch.zeros_like(rows) for name, rows in expected.items()}

    def pool(layer, batch, hidden):
        found[f"layer_{layer}"][batch.sample_indices] = pool_for_batch("mean", batch.inputs["attention_mask"])(hidden)

    run_layer_major(load_lazy_model(source), batches, range(DEPTH), pool)
    for name, rows in expected.items():
        torch.testing.assert_close(found[name], rows, atol=1e-5, rtol=1e-5)


class _Skipping(nn.Module):
    """Three blocks; the third also adds what came out of the first."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(4, 4)) for _ in range(3)])

    def forward(self, hidden, skip=True):
        first = self.layers[0](hidden)
        second = self.layers[1](first)
        return self.layers[2](second + first if skip else second)


def test_a_block_that_reaches_further_back_is_found_out():
    model = _Skipping()
    runner = SingleBlockRunner(Blocks("layers", tuple(model.layers), root=model))
    hidden = torch.randn(2, 3, 4)
    state, reference = None, hidden
    for layer in range(2):
        with runner.only(layer) as run:
            state = run({"hidden": hidden}, state)
        reference = model.layers[layer](reference)
        assert torch.equal(state.hidden, reference)
    reference = model.layers[2](reference)
    with runner.only(2) as run:
        assert torch.equal(run({"hidden": hidden, "skip": False}, state).hidden, reference)
        with pytest.raises(ModelError, match="block 2 of _Skipping cannot be run by itself: .*further back"):
            run({"hidden": hidden}, state)
    with runner.only(1) as run, pytest.raises(ModelError, match="TypeError"):
        run({"no such": hidden}, state)
    assert all("forward" not in vars(module) for module in model.modules())


def test_size_is_told_from_headers_alone(tmp_path):
    model = tiny_model("mixtral", AutoModelForCausalLM)
    source = saved(tmp_path / "model", model)
    whole = sum(p.numel() for p in model.parameters())
    assert estimated_bytes(source) == 4 * whole
    assert estimated_bytes(source, "bfloat16") == 2 * whole
    lazy_model = load_lazy_model(source)
    assert lazy_model.depth == DEPTH
    assert all(p.is_meta for p in lazy_model.model.parameters())


def test_blocks_are_freed_and_unused_parts_never_loaded(tmp_path, batches):
    source = saved(tmp_path / "model", tiny_model("bart"))
    lazy_model = load_lazy_model(source)
    on_block = []

    def look(layer, batch, hidden):
        on_block.append([not any(p.is_meta for p in block.parameters()) for block in lazy_model.blocks.modules])

    run_layer_major(lazy_model, batches, range(DEPTH), look)
    assert on_block == [[block == layer for block in range(DEPTH)] for layer in range(DEPTH) for _ in batches]
    assert all(p.is_meta for block in lazy_model.blocks.modules for p in block.parameters())
    assert all(p.is_meta for p in lazy_model.model.decoder.layers.parameters())
