"""Directions of one tuned model, from its rows and the base model's, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.confidence import Interval
from repdrift.core.errors import DegenerateInputError, ModelError, OutcomeNotApplicable
from repdrift.core.group_words import LEAST_GROUPS, is_grouped, no_interval_because
from repdrift.core.records.directions import (
    SHIFT_LEVEL,
    DriftShare,
    LayerDirections,
    ModelDirections,
)
from repdrift.core.words import counted
from repdrift.drift.directions.random_change import RandomRows, beside_random, count_record, random_shift
from repdrift.drift.directions.token_reading import TokenReadings
from repdrift.similarity.directions.alignments import AlignmentShares, alignment_shares
from repdrift.similarity.directions.counts import direction_counts
from repdrift.similarity.directions.differences import Differences, differences
from repdrift.similarity.directions.shift import MeanShift, mean_shift, unit_products
from repdrift.statistics.flipped_means import flipped_means_test

Products = NDArray[np.float64]

_NOT_MOVED = "The representations did not move, so that there is no direction."
_ROUNDING = (
    "The representations moved by no more than the rounding of their numbers, so that there is no direction to name."
)


@dataclass(frozen=True)
class DirectionSettings:
    """Settings of a measurement. groups: the group of each row, left out and flipped whole; None: each row stands alone. unit: a group in one word."""

    groups: Sequence[str] | None = None
    unit: str = "group"
    confidence: float = 0.95
    seed: int = 0


def model_directions(
    base: Mapping[int, Tensor],
    tuned: Mapping[int, Tensor],
    settings: DirectionSettings,
    *,
    random_change: RandomRows | None = None,
    tokens: TokenReadings | str | None = None,
) -> ModelDirections:
    """Measures in which directions a tuned model moved. base, tuned: by layer (n, p) rows of the same samples in the same order.

    random_change: where there is that control. tokens: reads tokens from shifts; a text: the reason why none are read.
    Raises ShapeError if the models differ in features.
    """
    groups = settings.groups if is_grouped(settings.groups) else None
    found: list[LayerDirections] = []
    products: dict[int, Products] = {}
    folds = rotated = n = width = n_units = None
    missing = tokens if isinstance(tokens, str) else None
    for layer in base:
        rows = base[layer]
        d = differences(rows, tuned[layer], groups)
        n, width, n_units = d.n, d.p, d.n_units
        at = _layer(layer, d, settings.confidence, _no_interval(n, groups, settings.unit))
        record = at.record
        if at.shares_found is not None:
            folds, rotated = at.shares_found.folds, at.shares_found.directions
        if random_change is not None and layer in random_change.rows and not d.are_rounding:
            beside = beside_random(rows, tuned[layer], random_change, layer, groups)
            record = record.model_copy(update={"beside_random": beside})
        if isinstance(tokens, TokenReadings) and missing is None and record.shift:
            try:
                record = _with_tokens(record, tokens, d, rows, random_change)
            except (OutcomeNotApplicable, ModelError) as error:
                missing = str(error)
        if not d.are_rounding and d.n_units > 1:
            products[len(found)] = unit_products(d)
        found.append(record)
    found, smallest = _tested(found, products, settings.seed)
    return ModelDirections(
        layers=found,
        n=n or 0,
        n_groups=None if groups is None else n_units,
        unit=settings.unit,
        confidence=settings.confidence,
        folds=folds,
        width=width,
        rotated_directions=rotated,
        smallest_pvalue=smallest,
        tokens_missing=missing,
    )


def _with_tokens(
    record: LayerDirections, tokens: TokenReadings, d: Differences, base: Tensor, control: RandomRows | None
) -> LayerDirections:
    """Adds the tokens of a layer's shift, beside those of the random change where it shifts the samples at all."""
    if control is not None and record.beside_random is not None:
        shift = random_shift(base, control, record.layer)
        if bool(torch.linalg.vector_norm(shift)):
            own, random = tokens.read_beside(record.layer, d, shift)
            beside = record.beside_random.model_copy(update={"random_tokens": random})
            return record.model_copy(update={"tokens": own, "beside_random": beside})
    return record.model_copy(update={"tokens": tokens.read(record.layer, d)})


@dataclass(frozen=True)
class _Layer:
    record: LayerDirections
    shares_found: AlignmentShares | None = None


def _layer(layer: int, d: Differences, confidence: float, no_interval: str | None) -> _Layer:
    length = float(torch.linalg.vector_norm(d.base))
    relative = None if length == 0 else float(torch.linalg.vector_norm(d.rows)) / length
    if d.are_rounding:
        return _Layer(
            LayerDirections(layer=layer, relative_change=relative, missing=[_NOT_MOVED if d.are_zero else _ROUNDING])
        )
    missing: list[str] = []
    with_interval = no_interval is None
    if no_interval is not None:
        missing.append(f"There is no interval: {no_interval}.")
    fields: dict[str, object] = {}
    try:
        fields |= _shift_fields(mean_shift(d, confidence=confidence, with_interval=with_interval), missing)
    except DegenerateInputError as error:
        missing.append(f"The shift was not measured: {error}.")
    counts = direction_counts(d)
    if counts.centred is None:
        missing.append("All samples moved alike, so that nothing is left without the shift.")
    shares: AlignmentShares | None = None
    try:
        shares = alignment_shares(d, confidence=confidence, with_interval=with_interval)
        if with_interval and shares.shares[0].interval is None:
            missing.append(
                f"Shares of the change have no interval: one {'sample' if d.n_units == d.n else 'group'} alone moved."
            )
        fields |= {
            "shares": [_share(s.kind, s.share, s.interval) for s in shares.shares],
            "rotation_alone": shares.rotation_alone,
            "scaling_alone": shares.scaling_alone,
            "scale": shares.scale,
        }
    except DegenerateInputError as error:
        missing.append(f"Shares of the change were not measured: {error}.")
    record = LayerDirections(
        layer=layer,
        relative_change=relative,
        whole=count_record(counts.whole),
        centred=count_record(counts.centred),
        missing=missing,
        **fields,  # pyright: ignore[reportArgumentType]
    )
    return _Layer(record, shares)


def _shift_fields(shift: MeanShift, missing: list[str]) -> dict[str, object]:
    if shift.size is None:
        missing.append("The shift is no larger than noise makes it, so that its size without noise is not defined.")
    elif shift.spread == 0:
        missing.append("The base model's rows are all equal: the shift has no size relative to their spread.")
    own, relative = shift.interval, shift.relative_interval
    return {
        "spread": shift.spread,
        "shift": shift.norm,
        "shift_noise": shift.noise,
        "shift_squared": shift.squared,
        "shift_size": shift.size,
        "shift_low": None if own is None else own.low,
        "shift_high": None if own is None else own.high,
        "relative_shift": shift.relative_size,
        "relative_shift_low": None if relative is None else relative.low,
        "relative_shift_high": None if relative is None else relative.high,
    }


def _tested(
    layers: Sequence[LayerDirections], products: Mapping[int, Products], seed: int
) -> tuple[list[LayerDirections], float | None]:
    """Adds the p-values of the shifts, corrected over the layers that moved; and the smallest p that there can be.

    products: by position of the layer. Where a shift is not beyond chance, no token of it is.
    """
    if not products:
        return list(layers), None
    test = flipped_means_test(list(products.values()), seed=seed)
    found = list(layers)
    for number, position in enumerate(products):
        at, adjusted = found[position], float(test.adjusted[number])
        values: dict[str, object] = {"pvalue": float(test.pvalue[number]), "adjusted_pvalue": adjusted}
        if at.tokens is not None and adjusted > SHIFT_LEVEL:
            values["tokens"] = at.tokens.within_chance()
        found[position] = at.model_copy(update=values)
    return found, test.smallest_pvalue


def _no_interval(n: int, groups: Sequence[str] | None, unit: str) -> str | None:
    if groups is not None:
        return no_interval_because(groups, unit)
    return (
        None
        if n >= LEAST_GROUPS
        else f"there are {counted(n, 'sample')}, and an interval needs {LEAST_GROUPS} at least"
    )


def _share(kind: str, share: float, interval: Interval | None) -> DriftShare:
    low, high = (None, None) if interval is None else interval
    return DriftShare(kind=kind, share=share, low=low, high=high)
