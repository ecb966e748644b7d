"""Sums of one base model against K tuned models in one layer: init, update, merge, finalize, in constant memory.

The base model's sums are taken once per batch and serve every tuned model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from repdrift.core.errors import ConfigError, DataError, ShapeError
from repdrift.similarity.streaming.batch import add_rows, require_batch, require_product_dtype
from repdrift.similarity.streaming.moments import (
    CrossMoments,
    SideMoments,
    added_crosses,
    added_sides,
    empty_cross,
    empty_side,
    shifted_cross,
    shifted_side,
)
from repdrift.similarity.streaming.result import PairedResult, paired_result
from repdrift.similarity.streaming.symmetric import packed_size

_FORMAT = 2

_PIECE = 4096
"""Rows per product: float32 sums stay short, and copies small."""


@dataclass(eq=False)
class PairedMoments:
    """The state of a stream with K tuned models. It holds no sums before the first row."""

    n_tuned: int
    product_dtype: torch.dtype
    base: SideMoments | None = None
    tuned: list[SideMoments] = field(default_factory=list)
    cross: list[CrossMoments] = field(default_factory=list)

    @property
    def n(self) -> int:
        """Number of rows so far."""
        return self.base.n if self.base else 0

    @property
    def features(self) -> int | None:
        """Number of features p; None before the first row."""
        return self.base.shift.shape[0] if self.base else None


def init(n_tuned: int = 1, *, product_dtype: torch.dtype = torch.float32) -> PairedMoments:
    """A state without rows, which `merge` leaves out of account.

    Raises ConfigError if there is no tuned model, or if the products are neither float32 nor float64.
    """
    if n_tuned < 1:
        raise ConfigError(f"at least one tuned model is needed, got n_tuned={n_tuned}")
    require_product_dtype(product_dtype)
    return PairedMoments(n_tuned, product_dtype)


def update(state: PairedMoments, x: Tensor, ys: Sequence[Tensor]) -> PairedMoments:
    """Add rows of the base x (t, p) and of every tuned model, ys[k] (t, p); t may be 0. In place; returns the state.

    Sums stay on the device of the rows, which must know float64. If this raises, nothing was added.
    Raises ShapeError, DataError or NonFiniteError if the batch does not fit (`batch.require_batch`).
    """
    x, ys = x.detach(), [y.detach() for y in ys]
    require_batch(x, ys, n_tuned=state.n_tuned, features=state.features, product_dtype=state.product_dtype)
    if state.base and state.base.shift.device != x.device:
        raise DataError(f"rows are on {x.device}, earlier ones were on {state.base.shift.device}")
    if x.shape[0] == 0:
        return state
    if state.base is None:
        state.base, state.tuned = _first_sides(x, ys, state.product_dtype)
        state.cross = [empty_cross(state.base) for _ in ys]
    for start in range(0, x.shape[0], _PIECE):
        part = slice(start, start + _PIECE)
        add_rows(state.base, state.tuned, state.cross, x[part], [y[part] for y in ys], state.product_dtype)
    return state


def merge(a: PairedMoments, b: PairedMoments) -> PairedMoments:
    """Return the state of the rows of both, on the device of `a`; `a` and `b` stay as they are.

    Associative and commutative up to the rounding of float64; an empty state changes nothing.
    Raises ConfigError if the two were made with different settings; ShapeError if they have different numbers of features.
    """
    if (a.n_tuned, a.product_dtype) != (b.n_tuned, b.product_dtype):
        raise ConfigError(
            f"only states with the same settings merge, got {a.n_tuned} tuned models with {a.product_dtype} products and "
            f"{b.n_tuned} with {b.product_dtype}"
        )
    if a.base is None or b.base is None:
        return _copied(b if a.base is None else a, None)
    if a.features != b.features:
        raise ShapeError(f"states have {a.features} and {b.features} features")
    b = _copied(b, a.base.shift.device)
    assert b.base is not None  # noqa: S101  (checked above)
    moved_base = shifted_side(b.base, a.base.shift)
    merged = PairedMoments(a.n_tuned, a.product_dtype, added_sides(a.base, moved_base))
    for mine, both, theirs, theirs_both in zip(a.tuned, a.cross, b.tuned, b.cross, strict=True):
        merged.tuned.append(added_sides(mine, shifted_side(theirs, mine.shift)))
        moved = shifted_cross(theirs_both, b.base, theirs, a.base.shift, mine.shift)
        merged.cross.append(added_crosses(both, moved))
    return merged


def finalize(state: PairedMoments, k: int = 0) -> PairedResult:
    """Compare the base with tuned model k. Raises ShapeError if there are fewer than 4 rows, or no model k."""
    if not 0 <= k < state.n_tuned:
        raise ShapeError(f"there are tuned models 0 to {state.n_tuned - 1}, not {k}")
    if state.base is None or state.n < 4:
        raise ShapeError(f"at least 4 samples are needed, got {state.n}")
    return paired_result(state.base, state.tuned[k], state.cross[k], state.product_dtype)


def to_dict(state: PairedMoments) -> dict[str, Any]:
    """The state as tensors and plain values, for `torch.save`; the tensors are the state's own, not copies."""
    return {
        "format": _FORMAT,
        "n_tuned": state.n_tuned,
        "product_dtype": str(state.product_dtype).removeprefix("torch."),
        "base": vars(state.base).copy() if state.base else None,
        "tuned": [vars(side).copy() for side in state.tuned],
        "cross": [vars(both).copy() for both in state.cross],
    }


def from_dict(saved: Mapping[str, Any], device: torch.device | str | None = None) -> PairedMoments:
    """The state that `to_dict` gave, copied, on `device` if one is given. Raises DataError if `saved` is not one."""
    if saved.get("format") != _FORMAT:
        raise DataError(f"the saved state has format {saved.get('format')!r}, this version reads {_FORMAT}")
    try:
        state = init(saved["n_tuned"], product_dtype=getattr(torch, saved["product_dtype"]))
        base = saved["base"]
        if base is not None:
            p = base["shift"].shape[0]
            state.base = _read(SideMoments, base, p, device)
            state.tuned = [_read(SideMoments, side, p, device) for side in saved["tuned"]]
            state.cross = [_read(CrossMoments, both, p, device) for both in saved["cross"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a saved state of paired moments: {error!r}") from error
    if len(state.tuned) != (state.n_tuned if state.base else 0) or len(state.cross) != len(state.tuned):
        raise DataError(f"a saved state for {state.n_tuned} tuned models holds sums of {len(state.tuned)}")
    return state


def _read(kind: type, saved: Mapping[str, Any], p: int, device: torch.device | str | None) -> Any:
    shapes = {"gram": (packed_size(p),), "product": (p, p)}
    values = {}
    for name in (f.name for f in fields(kind)):
        value = saved[name]
        if isinstance(value, Tensor):
            shape = shapes.get(name, (p,) if value.dim() else ())
            if value.dtype != torch.float64 or tuple(value.shape) != shape:
                raise DataError(
                    f"saved sum {name!r} is {value.dtype} of shape {tuple(value.shape)}, not float64 {shape}"
                )
            value = value.to(device or value.device, copy=True)
        values[name] = value
    return kind(**values)


def _copied(state: PairedMoments, device: torch.device | None) -> PairedMoments:
    return from_dict(to_dict(state), device)


def _first_sides(x: Tensor, ys: Sequence[Tensor], product_dtype: torch.dtype) -> tuple[SideMoments, list[SideMoments]]:
    """Empty sums about shifts near the first batch's means, which `product_dtype` holds exactly, as their differences."""
    shift = _mean(x).to(product_dtype).to(torch.float64)
    changes = [(_mean(y) - shift).to(product_dtype).to(torch.float64) for y in ys]
    return empty_side(shift), [empty_side(shift + change) for change in changes]


def _mean(rows: Tensor) -> Tensor:
    """(p,) mean of the first piece. Any vector near the mean would do."""
    return rows[:_PIECE].mean(dim=0, dtype=torch.float64)
