"""Shares of patched models of many architectures, with their language-modelling heads: a change in one block goes through it exactly."""

import copy

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from repdrift.batches.batching import BatchPlan
from repdrift.comparison.headed_model import HeadedModel
from repdrift.comparison.patch_pass import PatchInputs, patch_pass
from repdrift.core.errors import ModelError
from repdrift.extraction.model_inputs import sample_set_of
from repdrift.extraction.patched_run import PatchedRunner
from repdrift.models import find_blocks, resolve_model
from repdrift.models.output_head import split_language_model
from tests.oracles.architectures import ALBERT, ARCHITECTURES, DEPTH, config_of

LENGTHS = (9, 4, 13, 2, 7)
FAMILIES = {**ARCHITECTURES, "albert": ALBERT}
CHANGED = 1


def whole_model(family):
    architecture = FAMILIES[family]
    config = config_of(architecture)
    torch.manual_seed(0)
    kind = AutoModelForCausalLM if type(config) in AutoModelForCausalLM._model_mapping else AutoModelForMaskedLM
    try:
        model = kind.from_config(config, experts_implementation="eager")
    except TypeError:
        model = kind.from_config(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.15)
    return model.float().eval()


def changed(model, family):
    """A copy with noise on block `CHANGED`."""
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(1)
    blocks = find_blocks(getattr(other, other.base_model_prefix))
    with torch.no_grad():
        for parameter in blocks.modules[CHANGED].parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.2)
    return other


def headed(model):
    split = split_language_model(model, "causal")
    blocks = find_blocks(split.body)
    source = resolve_model("packaged:minilm")  # not read here
    return HeadedModel(
        source,
        "next tokens",
        split.body,
        blocks,
        PatchedRunner(blocks, lambda inputs: split.body(**inputs)[0]),
        split.head.logits,
    )


def inputs_of():
    generator = torch.Generator().manual_seed(2)
    rows = [torch.randint(4, 40, (length,), generator=generator).tolist() for length in LENGTHS]
    samples = sample_set_of({"input_ids": rows, "attention_mask": [[1] * length for length in LENGTHS]})
    return PatchInputs(BatchPlan(samples, token_budget=30), tuple(np.arange(length) for length in LENGTHS))


def shares(found):
    return [
        [1 - by_layer[layer].sum() / whole.sum() for layer in sorted(by_layer)]
        for by_layer, whole in ((found.undone, found.change), (found.brought, found.change_back))
    ]


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "zamba2"])
def test_change_in_one_block_goes_through_it(family):
    model = whole_model(family)
    reference, tuned = headed(copy.deepcopy(model)), headed(changed(model, family))
    found = patch_pass(reference, tuned, inputs_of(), range(DEPTH), what=family)
    assert found is not None
    assert found.change.sum() > 400 * found.noise.sum()
    undone, brought = shares(found)
    if family == "albert":  # one module is every block, so that all of them change
        assert undone[-1] == brought[-1] == 1
        assert 0 < abs(undone[0]) != 1
    else:
        assert undone == brought == [0, 1, 1]


def test_state_that_passes_beside_is_found_before_anything_counts():
    model = whole_model("zamba2")
    with pytest.raises(ModelError, match="after block 0 of Zamba2Model: the blocks above it also read"):
        patch_pass(
            headed(copy.deepcopy(model)), headed(changed(model, "zamba2")), inputs_of(), range(DEPTH), what="zamba2"
        )
