"""Running on from a block with another model's state agrees with a whole forward pass in which a hook puts it in."""

import copy

import pytest
import torch

from repdrift.batches.batching import BatchPlan
from repdrift.core.errors import ModelError
from repdrift.extraction.patched_run import PatchedRunner
from repdrift.models import find_blocks
from tests.oracles.architectures import ALBERT, ARCHITECTURES, DEPTH, model_of
from tests.oracles.checkpoints import a_few_batches, blocks_of


@pytest.fixture(scope="module")
def batch():
    return BatchPlan(a_few_batches().samples, token_budget=1000)[0]  # more rows than a block has outputs


def pair_of(architecture):
    """A model, and one in which every parameter differs."""
    first = model_of(architecture)
    second = copy.deepcopy(first)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.05)
    return first, second


def runner_of(model):
    return PatchedRunner(find_blocks(model), lambda inputs: model(**inputs)[0])


def by_hook(model, module, state, inputs):
    """The whole model is run, and what `module` gives is replaced."""

    def put_in(_module, _inputs, output):
        return (state, *output[1:]) if isinstance(output, tuple) else state

    handle = module.register_forward_hook(put_in)
    try:
        return model(**inputs)[0]
    finally:
        handle.remove()


@pytest.mark.parametrize("family", [family for family in ARCHITECTURES if family != "zamba2"])
def test_state_of_another_model_is_run_on_as_if_it_were_the_models_own(family, batch):
    first, second = pair_of(ARCHITECTURES[family])
    real = batch.inputs["attention_mask"].bool()
    runner = runner_of(first)
    with torch.inference_mode():
        own = runner.record(batch.inputs, range(DEPTH))
        other = runner_of(second).record(batch.inputs, range(DEPTH))
        assert not torch.allclose(own.output[real], other.output[real], atol=1e-3)
        for layer in range(DEPTH):
            with runner.above(layer) as run:
                assert torch.equal(run(batch.inputs, own.states[layer])[real], own.output[real])
                found = run(batch.inputs, other.states[layer])[real]
            expected = by_hook(first, blocks_of(first, family)[layer], other.states[layer].hidden, batch.inputs)
            torch.testing.assert_close(found, expected[real], atol=1e-12, rtol=1e-10)
            assert not torch.allclose(found, own.output[real], atol=1e-4)


def test_blocks_that_are_run_several_times_are_counted(batch):
    first, second = pair_of(ALBERT)
    with torch.inference_mode():
        own, other = (runner_of(model).record(batch.inputs, range(DEPTH)) for model in (first, second))
        for layer in range(DEPTH):
            with runner_of(first).above(layer) as run:
                found = run(batch.inputs, other.states[layer])
            # What is left to run is the shared block, as often as there are layers above.
            hidden = other.states[layer].hidden
            mask = batch.inputs["attention_mask"].bool()[:, None, None, :]
            for _ in range(DEPTH - 1 - layer):
                hidden = first.encoder.albert_layer_groups[0].albert_layers[0](hidden, mask)
                hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            real = batch.inputs["attention_mask"].bool()
            torch.testing.assert_close(found[real], hidden[real], atol=1e-10, rtol=1e-8)
        assert not torch.allclose(own.output, other.output, atol=1e-3)


def test_what_passes_beside_the_state_shows_as_nan(batch):
    first, _ = pair_of(ARCHITECTURES["zamba2"])  # its hybrid block also reads the embeddings
    with torch.inference_mode():
        own = runner_of(first).record(batch.inputs, [0, 1])
        with runner_of(first).above(0) as run:
            assert torch.isnan(run(batch.inputs, own.states[0])).any()
        with runner_of(first).above(1) as run:  # no hybrid block lies above it
            assert torch.equal(run(batch.inputs, own.states[1]), own.output)


@pytest.mark.parametrize("family", ["llama", "deberta_v2_conv"])
def test_model_is_left_as_it_was_also_after_an_error(family, batch):
    model = model_of(ARCHITECTURES[family])
    runner = runner_of(model)
    with torch.inference_mode():
        before = model(**batch.inputs)[0]
        own = runner.record(batch.inputs, [1])
        with pytest.raises(ModelError, match="cannot|failed"), runner.above(1) as run:
            run({"input_ids": batch.inputs["input_ids"], "attention_mask": "no tensor"}, own.states[1])
        assert not any("forward" in module.__dict__ for module in model.modules())
        assert not any(module._forward_hooks for module in model.modules())
        assert torch.equal(model(**batch.inputs)[0], before)


def test_state_that_is_put_in_is_not_changed(batch):
    first, second = pair_of(ARCHITECTURES["bloom"])
    with torch.inference_mode():
        state = runner_of(second).record(batch.inputs, [0]).states[0]
        kept = state.hidden.clone()
        with runner_of(first).above(0) as run:
            run(batch.inputs, state)
    assert torch.equal(state.hidden, kept)
