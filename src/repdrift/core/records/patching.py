"""Patching: how much of a tuned model's output change goes through its hidden state after each block."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

PATCHING_TABLE = "patching.csv"

PATCHING_COLUMNS = (
    "model",  # str: the tuned model
    "reference",  # str: the model whose output is the starting point, nearly always the base model
    "direction",  # str: reference_into_model or model_into_reference
    "layer",  # int, 0-based
    "share",  # float: 1 - distance / change; empty where there is none
    "low",  # float: 95 % interval of the share over samples; empty with fewer than 10 of them
    "high",  # float
    "distance",  # float: mean divergence that is left, in nats
    "change",  # float: mean divergence without patching, in nats
    "unit",  # str: nats per token, or nats per sample
    "n",  # int: samples
    "note",  # str: what changes how the numbers are read, or why there are none
)


class PatchedShare(Record):
    """The share of an output change that returns when one state is put in: 1 - distance / change.

    distance: the mean divergence that is left, in nats. low, high: 95 % interval of the share over samples; null where there is none.
    """

    share: float
    low: float | None = None
    high: float | None = None
    distance: float


class PatchedLayer(Record):
    """One layer, patched both ways."""

    layer: int
    undone: PatchedShare
    """The reference's state put into the tuned model: how much of its output change is undone."""
    brought: PatchedShare
    """The tuned model's state put into the reference: how much of the change comes with it."""


class Patching(Record):
    """A tuned model and a reference, each run with the other's hidden state after one block at a time."""

    model: str
    reference: str
    """`base`, or the name of the tuned model that takes its place where the base model has no head of that kind."""
    outputs: Literal["next tokens", "masked tokens", "classes"] | None = None
    status: Literal["patched", "not patched"]
    reason: str | None = None
    """The reason why there are no shares."""
    unit: Literal["nats per token", "nats per sample"] | None = None
    depth: int | None = None
    """The number of layers that the models have."""
    samples: int = 0
    groups: int | None = None
    """Groups that intervals leave out whole; null where each sample stands alone."""
    tokens: int = 0
    change: float | None = None
    """Mean KL(reference || tuned model)."""
    change_back: float | None = None
    """Mean KL(tuned model || reference), the change that the other direction starts from."""
    noise: float | None = None
    """Mean KL of the reference's output from its own in other batches; in half precision from its own in float32, if that is larger."""
    largest_sample_share: float | None = None
    """The part of the change that one sample (or group) holds."""
    layers: list[PatchedLayer] = []
    notes: list[str] = []
    """Sentences that change how the shares are to be read."""
