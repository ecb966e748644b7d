"""The face of paired streaming in one layer: rows while they are few, exact moments from then on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from repdrift.core.errors import ConfigError, DataError, ShapeError
from repdrift.similarity.streaming.batch import require_batch
from repdrift.similarity.streaming.paired import (
    PairedMoments,
    finalize,
    from_dict,
    init,
    merge,
    moments_bytes,
    to_dict,
    update,
)
from repdrift.similarity.streaming.result import PairedResult
from repdrift.similarity.streaming.rows import PairedRows, row_numbers

KeepRows = Literal["auto"] | bool
_FORMAT = 1


class PairedAccumulator:
    """One base against K tuned models, fed the same samples in the same order.

    keep_rows: "auto" keeps rows until they take more memory than moments would (or than `max_row_bytes`), about
    n = 2 p rows of float32, then folds them into moments, exactly, and goes on; True never folds; False keeps none.
    product_dtype: float32 products, added to float64 sums, or float64 ones, which take twice as long.
    From rows that are still held, numbers are always computed with float64 products.
    """

    def __init__(
        self,
        n_tuned: int = 1,
        *,
        keep_rows: KeepRows = "auto",
        product_dtype: torch.dtype = torch.float32,
        max_row_bytes: int | None = None,
    ) -> None:
        """Raises ConfigError for settings that do not exist."""
        if keep_rows not in ("auto", True, False):
            raise ConfigError(f'keep_rows should be "auto", True or False, got {keep_rows!r}')
        self.keep_rows: KeepRows = keep_rows
        self.max_row_bytes = max_row_bytes
        self._moments = init(n_tuned, product_dtype=product_dtype)
        self._rows: PairedRows | None = PairedRows(n_tuned) if keep_rows else None
        self._numbered: bool | None = None
        self._of_rows: PairedMoments | None = None

    @property
    def n_tuned(self) -> int:
        """Tuned models."""
        return self._moments.n_tuned

    @property
    def product_dtype(self) -> torch.dtype:
        """Type of the products."""
        return self._moments.product_dtype

    @property
    def n(self) -> int:
        """Rows so far."""
        return self._moments.n if self._rows is None else self._rows.n

    @property
    def keeps_rows(self) -> bool:
        """Whether every row so far is still held."""
        return self._rows is not None

    def update(self, x: Tensor, ys: Sequence[Tensor], numbers: Tensor | Sequence[int] | None = None) -> None:
        """Add base rows x (t, p) and tuned rows ys[k] (t, p), with the samples' numbers (t,) or none, always or never.

        Numbers restore the order of samples after a merge, as long as rows are held. If this raises, nothing was added.
        Raises ShapeError, DataError, NonFiniteError as `paired.update`.
        """
        x, ys = x.detach(), [y.detach() for y in ys]
        given = row_numbers(numbers, x.shape[0])
        if self.n and x.shape[0] and self._numbered != (given is not None):
            raise DataError("give the numbers of all rows or of none")
        if self._rows is None:
            update(self._moments, x, ys)
        else:
            features = self._rows.features
            require_batch(x, ys, n_tuned=self.n_tuned, features=features, product_dtype=self.product_dtype)
            if self._rows.device not in (None, x.device):
                raise DataError(f"rows are on {x.device}, earlier ones were on {self._rows.device}")
            self._rows.add([x, *ys], given)
            self._of_rows = None
            self._fold_if_large()
        if x.shape[0]:
            self._numbered = given is not None

    def merge(self, other: PairedAccumulator) -> PairedAccumulator:
        """A new accumulator of both's rows; both are left as they are. Associative; an empty one changes nothing.

        Raises ConfigError unless both were made with the same settings, ShapeError for different numbers of features,
        DataError if the rows of only one side are numbered.
        """
        if self._settings() != other._settings():
            raise ConfigError(f"only accumulators made alike merge: {self._settings()} and {other._settings()}")
        if self.n and other.n and self._numbered != other._numbered:
            raise DataError("the rows of one accumulator are numbered, those of the other are not")
        both = PairedAccumulator(**self._settings())
        both._numbered = self._numbered if self.n else other._numbered
        if self._rows is not None and other._rows is not None:
            if self.n and other.n and self._rows.features != other._rows.features:
                raise ShapeError(f"rows have {self._rows.features} and {other._rows.features} features")
            both._rows = self._rows.joined(other._rows)
            both._fold_if_large()
        else:
            both._rows = None
            both._moments = merge(self._all_moments(), other._all_moments())
        return both

    def result(self, k: int = 0) -> PairedResult:
        """Base against tuned model k, with the rows where they are still held.

        Raises ShapeError for fewer than 4 rows or no such model; DataError for a row number that came twice.
        """
        if self._rows is None:
            return finalize(self._moments, k)
        if self._of_rows is None:
            self._of_rows = self._folded(torch.float64)
        found = finalize(self._of_rows, k)
        tables, numbers = self._rows.in_order()
        return found.with_rows((tables[0], tables[1 + k]), numbers)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values: `torch.save` them, and load with `weights_only=True`.

        Moments are the accumulator's own tensors, not copies: save, or copy, before the next update.
        """
        settings = self._settings()
        return {
            "format": _FORMAT,
            "keep_rows": settings["keep_rows"],
            "max_row_bytes": settings["max_row_bytes"],
            "numbered": self._numbered,
            "moments": to_dict(self._moments),
            "rows": self._rows.to_dict() if self._rows is not None else None,
        }

    @classmethod
    def from_state_dict(cls, saved: Mapping[str, Any], device: torch.device | str | None = None) -> PairedAccumulator:
        """The accumulator that `state_dict` gave, on `device` if given. Raises DataError if it is not one."""
        if saved.get("format") != _FORMAT:
            raise DataError(f"saved accumulator has format {saved.get('format')!r}, this version reads {_FORMAT}")
        try:
            moments = from_dict(saved["moments"], device)
            loaded = cls(
                moments.n_tuned,
                keep_rows=saved["keep_rows"],
                product_dtype=moments.product_dtype,
                max_row_bytes=saved["max_row_bytes"],
            )
            loaded._moments, loaded._numbered, rows = moments, saved["numbered"], saved["rows"]
            loaded._rows = None if rows is None else PairedRows.from_dict(rows, moments.n_tuned, device)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"not a saved accumulator: {error!r}") from error
        return loaded

    def _settings(self) -> dict[str, Any]:
        return {
            "n_tuned": self.n_tuned,
            "keep_rows": self.keep_rows,
            "product_dtype": self.product_dtype,
            "max_row_bytes": self.max_row_bytes,
        }

    def _fold_if_large(self) -> None:
        if self.keep_rows is True or self._rows is None or not self._rows.features:
            return
        cap = moments_bytes(self._rows.features, self.n_tuned) if self.max_row_bytes is None else self.max_row_bytes
        if self._rows.nbytes > cap:
            self._moments, self._rows = self._folded(self.product_dtype), None

    def _folded(self, product_dtype: torch.dtype) -> PairedMoments:
        moments = init(self.n_tuned, product_dtype=product_dtype)
        if self._rows is not None and self._rows.n:
            base, *tuned = self._rows.tables()
            update(moments, base, tuned)
        return moments

    def _all_moments(self) -> PairedMoments:
        return self._moments if self._rows is None else self._folded(self.product_dtype)
