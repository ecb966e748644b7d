"""Padding, batching and order do not change a representation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.extraction import extract
from repdrift.extraction.pooling import POOLINGS, pool_for_batch
from repdrift.models import load_backbone, resolve_model

MODELS = {}


@pytest.fixture(scope="module", autouse=True)
def _models(tiny_bert, tiny_llama):
    MODELS.update(
        bert=load_backbone(resolve_model(str(tiny_bert))), llama=load_backbone(resolve_model(str(tiny_llama)))
    )


def _inputs(lengths, *, side, extra, seed=0):
    width = max(lengths) + extra
    ids = torch.full((len(lengths), width), 1)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        tokens = torch.randint(4, 40, (length,), generator=torch.Generator().manual_seed(seed + row))
        span = slice(0, length) if side == "right" else slice(width - length, width)
        ids[row, span] = tokens
        mask[row, span] = 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("kind", ["bert", "llama"])
@pytest.mark.parametrize("pooling", POOLINGS)
@given(
    lengths=st.lists(st.integers(2, 12), min_size=4, max_size=7),
    side=st.sampled_from(["left", "right"]),
    extra=st.integers(0, 9),
    budget=st.integers(1, 60),
)
@settings(max_examples=8, deadline=None)
def test_padding_side_length_and_batch_size_do_not_matter(kind, pooling, lengths, side, extra, budget):
    model = MODELS[kind]
    plain = extract(model, _inputs(lengths, side="right", extra=0), pooling=pooling, token_budget=10_000)
    other = extract(model, _inputs(lengths, side=side, extra=extra), pooling=pooling, token_budget=budget)
    for name, tensor in plain.items():
        assert torch.allclose(tensor, other[name], atol=1e-5), name


@given(seed=st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_order_of_samples_only_permutes_the_rows(seed):
    inputs = _inputs([3, 9, 5, 5, 2, 11], side="right", extra=0)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    straight = extract(MODELS["bert"], inputs)
    permuted = extract(MODELS["bert"], {name: tensor[order] for name, tensor in inputs.items()})
    for name, tensor in straight.items():
        assert torch.allclose(tensor[order], permuted[name], atol=1e-6)


def test_what_stands_on_padding_never_counts():
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]])
    hidden = torch.tensor([[[1.0], [3.0], [float("nan")]], [[float("inf")], [5.0], [7.0]]])
    assert pool_for_batch("mean", mask)(hidden).tolist() == [[2.0], [6.0]]
    assert pool_for_batch("last", mask)(hidden).tolist() == [[3.0], [7.0]]
    assert pool_for_batch("first", mask)(hidden).tolist() == [[1.0], [5.0]]


def test_sample_without_enough_tokens_is_named():
    with pytest.raises(DataError, match="needs 2 real token.*sample 1 of the batch has 1"):
        pool_for_batch("mean_skip_first", torch.tensor([[1, 1], [1, 0]]))
    with pytest.raises(UnknownNameError, match="Did you mean 'mean'"):
        pool_for_batch("maen", torch.tensor([[1]]))  # pyright: ignore[reportArgumentType]
