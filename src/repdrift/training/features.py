"""Model inputs with their targets, padding, and prediction in batches; all kinds of task use these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import DataError, NonFiniteError
from repdrift.models import embedding_rows

Feature = dict[str, Any]
"""One model input with its targets: `input_ids`, perhaps `token_type_ids`, as plain lists and numbers; not padded."""

NO_LABEL = -100
"""Stands in the labels of a text for a token that is not learnt; torch's cross-entropy leaves it out."""

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class PaddingCollator:
    """Pads a batch on the right to its longest member, and masks the padding."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    @classmethod
    def of(cls, tokenizer: Any) -> PaddingCollator:
        """Pads with the tokenizer's padding token, its end token, or id 0 if it has neither: no padding is read, and no loss is on it."""
        known = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        return cls(int(next(token for token in known if token is not None)))

    def __call__(self, features: Sequence[Feature]) -> dict[str, Tensor]:
        """Make one batch of unpadded features: tensors of shape (batch, longest), targets of shape (batch,).

        Labels that are given for each token have the shape (batch, longest), with NO_LABEL on the padding.
        """
        longest = max(len(f["input_ids"]) for f in features)
        batch: dict[str, Tensor] = {
            "input_ids": _padded([f["input_ids"] for f in features], longest, self.pad_token_id),
            "attention_mask": _padded([[1] * len(f["input_ids"]) for f in features], longest, 0),
        }
        if features[0].get("token_type_ids") is not None:
            batch["token_type_ids"] = _padded([f["token_type_ids"] for f in features], longest, 0)
        for target in ("labels", "start_positions", "end_positions"):
            if target in features[0] and isinstance(features[0][target], list):
                batch[target] = _padded([f[target] for f in features], longest, NO_LABEL)
            elif target in features[0]:
                batch[target] = torch.tensor([f[target] for f in features])
        return batch


def require_ids_fit(features: Sequence[Feature], model: nn.Module, tokenizer: Any) -> None:
    """Raises DataError, naming a token, if `model` has no row for it in its embedding."""
    rows = embedding_rows(model)
    largest = max((max(feature["input_ids"], default=0) for feature in features), default=0)
    if rows is not None and largest >= rows:
        raise DataError(
            f"the tokenizer makes {tokenizer.convert_ids_to_tokens(largest)!r} (id {largest}) of the texts, and the embedding of "
            f"{type(model).__name__} has {rows} rows, for ids 0 to {rows - 1}. Take the tokenizer that was saved with the model, "
            "or save the model with more rows (resize_token_embeddings)."
        )


def predict(
    model: nn.Module,
    features: Sequence[Feature],
    collator: PaddingCollator,
    outputs: Sequence[str],
    *,
    per_token: bool,
    batch_size: int = 32,
) -> list[tuple[Tensor, ...]]:
    """Run `model` over `features` without gradients, in batches of similar length.

    Returns for each feature the named `outputs` (such as "logits"), float32 on the CPU. per_token: the outputs have one
    value for each token; padding is cut off. Raises NonFiniteError, with the number of the first input, if one holds NaN.
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
        for position, index in enumerate(chunk):
            length = len(features[index]["input_ids"]) if per_token else None
            found[index] = tuple(value[position, :length] for value in values)
            if any(bool(value.isnan().any()) for value in found[index]):
                raise NonFiniteError(
                    f"the trained model gives NaN for evaluation input {index + 1} of {len(features)}: training diverged, or the base model's "
                    "numbers overflow. Set a lower learning_rate under `training:` in the study file, and run the same command again."
                )
    return [found[i] for i in range(len(features))]


def _padded(sequences: Sequence[Sequence[int]], length: int, fill: int) -> Tensor:
    return torch.tensor([[*sequence, *([fill] * (length - len(sequence)))] for sequence in sequences])


def _chunks(items: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    return (items[i : i + size] for i in range(0, len(items), size))
