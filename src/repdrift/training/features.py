"""Model inputs with their targets, padding, and batched prediction: what both kinds of task share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from repdrift.tasks import Row

Feature = dict[str, Any]
"""`input_ids`, perhaps `token_type_ids`, and the targets, as plain lists and numbers; not padded."""


_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Head(Protocol):
    """One kind of task: rows to features, logits to metrics. `train` and `evaluate` of a run use nothing else."""

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """Encode rows for training: one or more features a row."""
        ...

    def evaluate(self, model: nn.Module, rows: Sequence[Row]) -> dict[str, float]:
        """Metrics of `model` (on its device) over `rows`, fractions in [0, 1]."""
        ...


class PaddingCollator:
    """Pad a batch to its longest member, on the right, with a mask of real tokens."""

    def __init__(self, pad_token_id: int) -> None:
        self._pad = pad_token_id

    def __call__(self, features: Sequence[Feature]) -> dict[str, Tensor]:
        """features: unpadded; returns tensors of shape (batch, longest), targets of shape (batch,)."""
        longest = max(len(f["input_ids"]) for f in features)
        batch: dict[str, Tensor] = {
            "input_ids": _padded([f["input_ids"] for f in features], longest, self._pad),
            "attention_mask": _padded([[1] * len(f["input_ids"]) for f in features], longest, 0),
        }
        if features[0].get("token_type_ids") is not None:
            batch["token_type_ids"] = _padded([f["token_type_ids"] for f in features], longest, 0)
        for target in ("labels", "start_positions", "end_positions"):
            if target in features[0]:
                batch[target] = torch.tensor([f[target] for f in features])
        return batch


def predict(
    model: nn.Module,
    features: Sequence[Feature],
    collator: PaddingCollator,
    outputs: Sequence[str],
    *,
    per_token: bool,
    batch_size: int = 32,
) -> list[tuple[Tensor, ...]]:
    """Run `model` over `features` without gradients; batches are formed by length.

    Gives each feature's `outputs` (such as "logits") in float32 on the CPU. per_token: they have one value a token, and
    are cut to the feature's own length.
    """
    model.eval()
    device = next(model.parameters()).device
    order = sorted(range(len(features)), key=lambda i: len(features[i]["input_ids"]))
    found: dict[int, tuple[Tensor, ...]] = {}
    for chunk in _chunks(order, batch_size):
        batch = collator([features[i] for i in chunk])
        inputs = {name: batch[name].to(device) for name in _INPUTS if name in batch}
        with torch.inference_mode():
            result = model(**inputs)
        values = [getattr(result, name).float().cpu() for name in outputs]
        for row, index in enumerate(chunk):
            length = len(features[index]["input_ids"]) if per_token else None
            found[index] = tuple(value[row, :length] for value in values)
    return [found[i] for i in range(len(features))]


def _padded(rows: Sequence[Sequence[int]], length: int, fill: int) -> Tensor:
    return torch.tensor([[*row, *([fill] * (length - len(row)))] for row in rows])


def _chunks(items: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    return (items[i : i + size] for i in range(0, len(items), size))
