"""Finding the list of blocks by structure, by name, or as the family says."""

import pytest
import transformers
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models import find_blocks
from tests.toy_blocks import DEPTH, WIDTH, Model, blocks_of


def test_experts_as_many_as_the_depth_are_not_taken_for_blocks():
    assert find_blocks(Model(blocks_of(experts=DEPTH))).path == "layers"


def test_norms_as_many_as_the_depth_are_not_taken_for_blocks():
    norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(DEPTH)])
    assert find_blocks(Model(blocks_of(), norms=norms)).path == "layers"


def test_two_lists_of_equal_standing_are_both_named():
    model = Model(blocks_of(), adapters=blocks_of())
    with pytest.raises(ModelError, match=r"layers \(3 x Block\), adapters \(3 x Block\).*blocks='\.\.\.' \(--blocks"):
        find_blocks(model)
    assert find_blocks(model, path="adapters").path == "adapters"


def test_model_without_blocks_is_told_what_it_holds_and_what_to_do():
    model = Model(blocks_of(4, experts=2), depth=7, tail=nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    with pytest.raises(ModelError) as caught:
        find_blocks(model)
    message = str(caught.value)
    for part in (
        "no list of blocks found in Model (configured depth: 7)", "layers (4 x Block)", "tail (2 x Linear or ReLU)",
        "layers.*.experts (2 x Sequential, in 4 places)", "blocks='...' (--blocks on the command line)",
    ):  # fmt: skip
        assert part in message
    with pytest.raises(ModelError, match="holds no module lists at all"):
        find_blocks(nn.Linear(2, 2))


def test_sequence_of_blocks_can_be_named():
    model = Model(nn.Sequential(*blocks_of()))
    with pytest.raises(ModelError, match=r"layers \(3 x Block\)"):
        find_blocks(model)
    assert find_blocks(model, path="layers").modules == tuple(model.layers)
    with pytest.raises(ModelError, match=r"no module list named 'embed' in Model \(there is a Embedding\)"):
        find_blocks(model, path="embed")
    with pytest.raises(ModelError, match=r"named 'layer' in Model \(there is nothing\).*layers \(3 x Block\)"):
        find_blocks(model, path="layer")


def test_model_without_a_single_residual_stream_is_refused():
    config = transformers.ReformerConfig(vocab_size=20, hidden_size=8, attn_layers=["local"], axial_pos_embds=False)
    with pytest.raises(ModelError, match="ReformerModel is reversible: its layers keep two residual streams"):
        find_blocks(transformers.ReformerModel(config))
