"""Hooks on blocks: what a block may give as its hidden state, and the order in which blocks must run."""

import pytest
import torch
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.extraction.block_hooks import capture_hidden_states
from repdrift.models import find_blocks
from tests.toy_blocks import IDS, WIDTH, Model, blocks_of


def captured(model, layers=(0, 1, 2), **named):
    found = []
    with (
        torch.inference_mode(),
        capture_hidden_states(find_blocks(model, **named), layers, lambda layer, _: found.append(layer)),
    ):
        model(IDS)
        model(IDS)
    return found


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (lambda hidden: hidden.transpose(0, 1), r"\(5, 2, 8\), but the model was given \(batch, tokens\) = \(2, 5\)"),
        (lambda hidden: hidden.reshape(1, -1, WIDTH), r"\(1, 10, 8\), but"),
        (lambda hidden: hidden.reshape(-1, WIDTH), r"\(10, 8\) of torch.float32, expected floats of shape"),
        (lambda hidden: hidden[:, :, :4], "4 features, but takes a hidden state of 8"),
        (lambda hidden: (hidden.long(), hidden), r"\(2, 5, 8\) of torch.int64"),
        (lambda hidden: {"hidden": hidden}, "a dict, expected"),
        (lambda hidden: (hidden.new_zeros(2, 5, 5), hidden), "5 features, but takes"),
    ],
)
def test_output_that_is_no_hidden_state_is_refused(shape, message):
    with pytest.raises(ModelError, match=f"block 0 \\(Block\\) of 'layers' gives {message}"):
        captured(Model(blocks_of(shape=shape)))


@pytest.mark.parametrize("shape", [lambda hidden: (hidden, None), lambda hidden: [hidden], lambda hidden: hidden])
def test_first_tensor_of_an_output_is_the_hidden_state(shape):
    assert captured(Model(blocks_of(shape=shape)), layers=(0, 2)) == [0, 2, 0, 2]


def test_blocks_run_out_of_order_or_twice_are_refused():
    with pytest.raises(ModelError, match=r"block 2 \(Block\) of 'layers' was run when block 1 was due"):
        captured(Model(blocks_of(), order=[0, 2, 1]))
    with pytest.raises(ModelError, match="block 2 .* was run when all blocks had been run"):
        captured(Model(blocks_of(), order=[0, 1, 2, 2]))


def test_failed_forward_pass_does_not_disturb_the_next():
    model, found = Model(blocks_of()), []
    with (
        torch.inference_mode(),
        capture_hidden_states(find_blocks(model), [0, 1, 2], lambda layer, _: found.append(layer)),
    ):
        model.order = [0, 7]
        with pytest.raises(IndexError):
            model(IDS)
        model.order = [0, 1, 2]
        model(IDS)
    assert found == [0, 0, 1, 2]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_blocks_in_a_sequential_are_captured():
    assert captured(Model(nn.Sequential(*blocks_of())), path="layers") == [0, 1, 2] * 2
