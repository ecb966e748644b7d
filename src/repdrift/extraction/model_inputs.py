"""Makes a sample set from what a caller has: tensors, arrays, lists, or what a tokenizer gave."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdrift.core.errors import DataError, ShapeError
from repdrift.tasks import SampleSet, token_ids

ModelInputs = Mapping[str, Any] | Sequence[Any] | Tensor | np.ndarray

_READ = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
_WITHOUT_EFFECT = (
    *("labels", "special_tokens_mask", "offset_mapping", "length", "overflow_to_sample_mapping"),
    *("overflowing_tokens", "num_truncated_tokens"),
)
"""What a tokenizer or a data set may give beside the inputs; no hidden state depends on it."""


def sample_set_of(inputs: ModelInputs, *, padding_token: int | None = None) -> SampleSet:
    """A sample set made from model inputs, without their padding.

    inputs: `input_ids`, and where there are any `attention_mask`, `token_type_ids` and `position_ids`: by name, or the
    `input_ids` alone; or a mapping for each sample. Each is (n, t), a tensor, a numpy array or rows of numbers; rows may differ
    in length. Without a mask all tokens are read; a warning says so if rows begin or end with `padding_token`, the model's. Tokens that the mask hides
    at either end of a row are padding and are taken off, so that positions count from the first token that is read. Tokens
    that it hides in between stay, so that those behind them keep their positions.
    Raises ShapeError if inputs are absent or their shapes differ, or a row has no real token; DataError for values that are
    no token ids or no mask, or an input that is not known.
    """
    given = _by_name(inputs)
    ids = _rows("input_ids", given["input_ids"])
    values = {name: _rows(name, value) for name, value in given.items() if name != "input_ids"}
    for name, rows in values.items():
        if [len(row) for row in rows] != [len(row) for row in ids]:
            raise ShapeError(f"input_ids and {name} should both be (n, t), got {_shape(ids)} and {_shape(rows)}")
    if not ids:
        raise ShapeError("every row of input_ids needs a real token; there are no rows")
    masks = (
        [_mask(row, number) for number, row in enumerate(values["attention_mask"])]
        if "attention_mask" in values
        else None
    )
    if masks is None:
        _warn_of_padding(ids, padding_token)
        masks = [np.ones(len(row), dtype=bool) for row in ids]
    spans = [_span(mask, number) for number, mask in enumerate(masks)]
    for number, (row, span) in enumerate(zip(ids, spans, strict=True)):
        _require_ids("input_ids", row, number, span)
    kept: dict[str, Any] = {"input_ids": _cut(ids, spans)}
    for name in ("token_type_ids", "position_ids"):
        for number, (row, span) in enumerate(zip(values.get(name, []), spans, strict=False)):
            _require_ids(name, row, number, span)
        kept[name] = _cut(values[name], spans) if name in values else None
    has_holes = any(not mask[span].all() for mask, span in zip(masks, spans, strict=True))
    return SampleSet(
        task="inputs",
        sample_ids=tuple(str(number) for number in range(len(ids))),
        attention_masks=_cut([mask.astype(int) for mask in masks], spans) if has_holes else None,
        truncated_samples=0,
        source="tensors",
        **kept,
    )


def _by_name(inputs: ModelInputs) -> dict[str, Any]:
    """The inputs by name, without those that have no effect. Raises if one is absent or not known."""
    named = _merged(inputs)
    named = {name: value for name, value in named.items() if value is not None}
    if "input_ids" not in named:
        raise ShapeError(f"inputs lack 'input_ids'; they have {', '.join(map(str, named)) or 'nothing'}")
    unknown = [str(name) for name in named if name not in (*_READ, *_WITHOUT_EFFECT)]
    if unknown:
        raise DataError(
            f"inputs have {unknown[0]!r}, which is not read: {', '.join(_READ)} are. Take it out if the hidden states do not "
            "depend on it; if they do, these inputs cannot be extracted."
        )
    return {name: named[name] for name in _READ if name in named}


def _merged(inputs: ModelInputs) -> dict[str, Any]:
    """The inputs by name; of a list with a mapping for each sample, the rows of every name."""
    if isinstance(inputs, Mapping):
        return dict(inputs)
    if not (isinstance(inputs, Sequence) and len(inputs) and all(isinstance(item, Mapping) for item in inputs)):
        return {"input_ids": inputs}
    names = set(inputs[0])
    odd = next((number for number, item in enumerate(inputs) if set(item) != names), None)
    if odd is not None:
        raise ShapeError(
            f"every sample should have the same inputs: sample 0 has {', '.join(sorted(names))}, sample {odd} has {', '.join(sorted(inputs[odd]))}"
        )
    return {name: [item[name] for item in inputs] for name in inputs[0]}


def _rows(name: str, value: Any) -> list[np.ndarray]:
    """The rows of one input as arrays. Raises ShapeError or DataError naming it."""
    if isinstance(value, Tensor):
        value = value.detach().to("cpu", torch.float32 if value.dtype == torch.bfloat16 else value.dtype).numpy()
    if isinstance(value, np.ndarray) and value.dtype != object and value.ndim != 2:
        raise ShapeError(f"{name} should be (n, t), got {tuple(value.shape)}")
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        raise DataError(
            f"{name} should hold rows of numbers, got {type(value).__name__}. Give what the tokenizer makes of texts."
        )
    rows: list[np.ndarray] = []
    for number, row in enumerate(value):
        if isinstance(row, str):
            raise DataError(f"{name}, row {number} is a text; give token ids: what the tokenizer makes of the texts")
        try:
            found = np.asarray(row.cpu() if isinstance(row, Tensor) else row)
        except (ValueError, TypeError) as error:
            raise DataError(f"{name}, row {number} is no row of numbers ({error})") from error
        found = found.astype(np.int64) if found.size == 0 else found
        if found.ndim == 2 and len(found) == 1:
            found = found[0]  # what a tokenizer gives for one text with return_tensors
        if found.ndim != 1:
            shape = f"({len(value)},)" if found.ndim == 0 else f"row {number} of shape {tuple(found.shape)}"
            raise ShapeError(f"{name} should be (n, t), got {shape}; one sample is [[...]]")
        if found.dtype.kind not in "iubf":
            raise DataError(f"{name}, row {number} holds {found.dtype}, not numbers")
        rows.append(found)
    return rows


def _mask(row: np.ndarray, number: int) -> np.ndarray:
    wrong = row[(row != 0) & (row != 1)]
    if wrong.size:
        raise DataError(
            f"attention_mask, row {number} holds {wrong[0]}; 1 is on tokens that are read and 0 on those that are not. A mask "
            "that is added to the attention is not taken."
        )
    return row.astype(bool)


def _span(mask: np.ndarray, number: int) -> slice:
    """From the first token that is read to the last."""
    read = np.flatnonzero(mask)
    if not read.size:
        raise ShapeError(f"every row of attention_mask needs a real token; row {number} has none")
    return slice(int(read[0]), int(read[-1]) + 1)


def _require_ids(name: str, row: np.ndarray, number: int, span: slice) -> None:
    if row.dtype.kind not in "iu":
        raise DataError(f"{name} should hold whole numbers, got {row.dtype} in row {number}")
    wrong = np.flatnonzero((row[span] < 0) | (row[span] >= 2**31))
    if wrong.size:
        at = span.start + int(wrong[0])
        raise DataError(f"{name}, row {number}, token {at} is {row[at]}: it should be 0 or more, and less than 2^31")


def _cut(rows: Sequence[np.ndarray], spans: Sequence[slice]) -> tuple[Sequence[int], ...]:
    return tuple(token_ids(row[span].tolist()) for row, span in zip(rows, spans, strict=True))


def _warn_of_padding(ids: Sequence[np.ndarray], padding_token: int | None) -> None:
    if padding_token is None or len(ids) < 2:
        return
    padded = [number for number, row in enumerate(ids) if row.size > 1 and padding_token in (row[0], row[-1])]
    if padded:
        warnings.warn(
            f"inputs have no attention_mask, so all tokens are read; {len(padded)} rows (the first: {padded[0]}) begin or end with "
            f"token {padding_token}, which the model pads with. If that is padding, give the attention_mask too.",
            stacklevel=4,
        )


def _shape(rows: Sequence[np.ndarray]) -> str:
    lengths = sorted({len(row) for row in rows})
    return (
        f"({len(rows)}, {lengths[0] if len(lengths) == 1 else f'{lengths[0]} to {lengths[-1]}'})" if rows else "(0, 0)"
    )
