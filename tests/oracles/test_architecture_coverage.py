"""Hidden states of many architectures agree with models that were cut off after the block, and use no hooks.

The reference sees each sample alone and unpadded; extraction sees them together, padded.
"""

import functools
import itertools

import numpy as np
import pytest
import torch
import transformers

from repdrift.extraction import extract
from repdrift.extraction.block_hooks import capture_hidden_states
from repdrift.models import backbone_of, decoder_inputs, find_blocks
from tests.oracles.architectures import (
    ARCHITECTURES,
    COMMON,
    DEPTH,
    ENCODER_DECODERS,
    VOCABULARY,
    cut_after,
    model_of,
    randomised,
)

LENGTHS = (11, 3, 7, 6)
SAMPLES = [
    torch.randint(4, VOCABULARY, (1, length), generator=torch.Generator().manual_seed(length)) for length in LENGTHS
]


@functools.cache
def whole_model(name):
    """The model of one architecture, built once for all tests here. None of them changes it."""
    return model_of(ARCHITECTURES[name])


def padded(side):
    ids = torch.zeros((len(LENGTHS), max(LENGTHS)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sample in enumerate(SAMPLES):
        n = sample.shape[1]
        where = slice(n) if side == "right" else slice(ids.shape[1] - n, None)
        ids[row, where], mask[row, where] = sample, 1
    return {"input_ids": ids, "attention_mask": mask}


def mean_of(run):
    """Mean over tokens of the last hidden state, sample by sample: (n, d)."""
    with torch.inference_mode():
        return torch.stack([run(sample).last_hidden_state[0].mean(0) for sample in SAMPLES])


def require_equal(found, expected, *, atol=1e-5):
    assert list(found) == [f"layer_{layer}" for layer in range(len(expected))]
    for layer, reference in enumerate(expected):
        scale = float(reference.abs().max())
        np.testing.assert_allclose(
            found[f"layer_{layer}"].double(), reference, atol=atol * max(scale, 1), err_msg=f"layer {layer}"
        )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_layer_is_the_output_of_the_model_cut_off_there(name):
    architecture, model = ARCHITECTURES[name], whole_model(name)
    blocks = find_blocks(model)
    assert (blocks.path, len(blocks)) == (architecture.blocks, DEPTH)
    expected = []
    for layer in range(DEPTH):
        cut = cut_after(model, layer, blocks=architecture.blocks, end=architecture.end)
        expected.append(mean_of(lambda sample, cut=cut: cut(input_ids=sample)))
    assert all((a - b).abs().max() > 1e-3 for a, b in itertools.pairwise(expected))
    for side, budget in (("right", 1000), ("left", 1000), ("left", 14)):
        require_equal(extract(model, padded(side), token_budget=budget), expected)


@pytest.mark.parametrize("name", [name for name, each in ARCHITECTURES.items() if each.end])
def test_what_follows_the_last_block_is_not_in_its_representation(name):
    model = whole_model(name)
    normed = mean_of(lambda sample: model(input_ids=sample))
    last = extract(model, padded("right"))[f"layer_{DEPTH - 1}"]
    assert last.shape != normed.shape or (last - normed).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("groups", "inner", "order"),
    [
        (1, 1, [(0, 0)] * 4),
        (2, 1, [(0, 0), (0, 0), (1, 0), (1, 0)]),
        (4, 1, [(0, 0), (1, 0), (2, 0), (3, 0)]),
        (2, 2, [(0, 0), (0, 1), (0, 0), (0, 1), (1, 0), (1, 1), (1, 0), (1, 1)]),
    ],
)
def test_albert_layer_is_one_application_of_a_shared_block(groups, inner, order):
    config = transformers.AlbertConfig(
        **{**COMMON, "num_hidden_layers": 4}, vocab_size=VOCABULARY, embedding_size=8, num_hidden_groups=groups, inner_group_num=inner
    )  # fmt: skip
    model = randomised(transformers.AlbertModel(config))
    expected = [[] for _ in order]
    with torch.inference_mode():
        for sample in SAMPLES:
            hidden = model.encoder.embedding_hidden_mapping_in(model.embeddings(sample))
            for application, (group, layer) in enumerate(order):
                hidden = model.encoder.albert_layer_groups[group].albert_layers[layer](hidden)
                expected[application].append(hidden[0].mean(0))
    expected = [torch.stack(rows) for rows in expected]
    for side, budget in (("right", 1000), ("left", 14)):
        require_equal(extract(model, padded(side), token_budget=budget), expected)
    some = extract(model, padded("right"), layers=[1, 3])
    assert all(torch.equal(some[key], extract(model, padded("right"))[key]) for key in ("layer_1", "layer_3"))


@pytest.fixture(params=ENCODER_DECODERS)
def pair(request):
    architecture = ENCODER_DECODERS[request.param]
    return model_of(architecture), architecture.blocks, architecture.end


def test_encoder_is_read_without_running_the_decoder(pair, monkeypatch):
    model, path, end = pair
    monkeypatch.setattr(model.decoder, "forward", lambda *_args, **_kwargs: pytest.fail("the decoder was run"))
    expected = []
    for layer in range(3):
        cut = cut_after(model.encoder, layer, blocks=path, end=end)
        expected.append(mean_of(lambda sample, cut=cut: cut(input_ids=sample)))
    for side, budget in (("right", 1000), ("left", 14)):
        require_equal(extract(model, padded(side), token_budget=budget), expected)
    assert find_blocks(model).path == f"encoder.{path}"
    assert find_blocks(backbone_of(model, "encoder"), stack="encoder").path == path


def test_decoder_states_are_those_of_the_shifted_sample(pair):
    model, path, end = pair
    start = model.config.decoder_start_token_id

    def shifted(sample):
        return torch.cat([torch.tensor([[start]]), sample[:, :-1]], dim=1)

    expected = []
    for layer in range(2):
        cut = cut_after(model, layer, blocks=f"decoder.{path}", end=[f"decoder.{each}" for each in end])
        expected.append(mean_of(lambda sample, cut=cut: cut(input_ids=sample, decoder_input_ids=shifted(sample))))
    backbone = backbone_of(model, "decoder")
    blocks = find_blocks(backbone, stack="decoder")
    assert blocks.path == f"decoder.{path}"
    inputs, found = padded("right"), {}
    weights = inputs["attention_mask"].double() / inputs["attention_mask"].sum(1, keepdim=True)

    def pool(layer, hidden):
        found[f"layer_{layer}"] = torch.einsum("bt,btd->bd", weights, hidden)

    with torch.inference_mode(), capture_hidden_states(blocks, [0, 1], pool):
        backbone(**inputs, **decoder_inputs(backbone, **inputs))
    require_equal(found, expected)
    for side, budget in (("right", 1000), ("left", 14)):
        require_equal(extract(model, padded(side), token_budget=budget, stack="decoder"), expected)
