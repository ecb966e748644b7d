"""Measures of tuned models against the base model's pooled rows, which are all in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from torch import Tensor

from repdrift.comparison.measured import MeasureValue
from repdrift.core.confidence import Interval
from repdrift.core.errors import DegenerateInputError
from repdrift.core.group_words import is_grouped
from repdrift.core.records.comparison import BaseLayer, BetweenModels, DriftInterval, LayerDrift
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.drift.chosen_measures import Reasons
from repdrift.drift.control_conditions import mispairings
from repdrift.drift.resampled_drift import GroupedInterval, drift_interval
from repdrift.drift.sample_intervals import SamplingOptions, draws_of
from repdrift.similarity import Representation, measure

Rows = dict[int, Tensor]
"""By layer: one row of features per sample, or per real token, (n, d)."""


_FEWEST_FOR_INTERVAL = 10
"""Control samples; the jackknife of fewer says next to nothing."""


@dataclass(frozen=True)
class _ControlDrift:
    """A drift over the control samples, with its interval; None: it has none."""

    drift: float
    interval: GroupedInterval | Interval | None


@dataclass
class RowMeasures:
    """Measures tuned models, one after the other, against the base model's rows.

    intervals: whether to give them. They need independent rows: samples are independent, tokens of one sample are not. groups: for each row
    the group of its sample, such as a paragraph, which is left out whole; None: each stands alone. unit: a group in one word.
    Raises DegenerateInputError naming the layer if all rows of the base model are equal there.
    """

    base: Rows
    measures: Sequence[str]
    intervals: bool = True
    groups: Sequence[str] | None = None
    unit: str = "group"
    interval_for: Sequence[str] = ()
    """Measures whose drift gets an interval too, as that of debiased CKA always has."""
    undefined: dict[tuple[str, str], Reasons] = field(default_factory=dict)
    """By model and measure: the layers at which it has no value, each with the reason."""
    pull: dict[str, list[float]] = field(default_factory=dict)
    """By model whose samples come in groups: the shares by which that pulls the drift of each layer."""
    tuned: dict[str, Rows] = field(default_factory=dict)
    """By model: the rows that were measured."""

    random_change: dict[str, Rows] = field(default_factory=dict)
    """By model: the rows of the base model after a random change as large, over the control samples."""
    again: Rows = field(default_factory=dict)
    """The rows of the base model in a second run, over the control samples."""
    control_rows: Tensor | None = None
    """The numbers of those rows among all: (m,)."""

    def __post_init__(self) -> None:
        for layer, rows in self.base.items():
            _prepared(rows, layer, "base model")

    def measure(self, name: str, tuned: Rows) -> list[LayerDrift]:
        """Measures one model layer by layer, without the controls, and keeps its rows for `between`.

        Raises DegenerateInputError naming the layer if the model gives all samples the same representation there.
        """
        found = [self._layer(name, layer, tuned[layer]) for layer in self.base]
        self.tuned[name] = tuned
        return found

    def base_layers(self, again: Rows | None, part: Tensor, exact: Rows | None = None) -> list[BaseLayer]:
        """Describes every layer of the base model, with its noise floor.

        again: the base model's rows of the control samples from a second run, or None if there was none. part: (m,)
        numbers of the same rows in the first run. exact: its rows from a run in float32, if the first run was in a coarser format:
        then the rounding of the run is part of the noise. Raises DegenerateInputError naming the layer if all control samples have
        the same representation there.
        """
        found: list[BaseLayer] = []
        for layer, rows in self.base.items():
            x = rows.double()
            variances = x.var(dim=0, correction=0)
            total = float(variances.sum())
            centred = x - x.mean(dim=0)
            gram = centred @ centred.T if x.shape[0] <= x.shape[1] else centred.T @ centred
            noise = None if again is None else self._noise(part, again[layer], layer)
            if noise is not None and exact is not None:
                rounding, high = self._noise(part, exact[layer], layer)
                # Two models that run in the format are rounded each for itself, so that they drift twice as far apart.
                noise = max(
                    noise, (2 * rounding, None if high is None else rounding + high), key=lambda found: found[0]
                )
            found.append(
                BaseLayer(
                    layer=layer,
                    noise_floor=None if noise is None else noise[0],
                    noise_floor_high=None if noise is None else noise[1],
                    top_feature_share=float(variances.max()) / total if total else 0.0,
                    participation_ratio=float(gram.trace() ** 2 / gram.square().sum()) if total else 0.0,
                    largest_activation=float(x.abs().max()),
                )
            )
        return found

    def with_control(
        self, layers: Sequence[LayerDrift], control: Literal["random_change", "rounding"], changed: Rows, part: Tensor
    ) -> list[LayerDrift]:
        """Adds the drift of the base model with changed weights, with its interval over the control samples.

        control: how they were changed. changed: that model's rows of the control samples. part: (m,) numbers of these rows among
        the base model's rows. Raises DegenerateInputError naming the layer if all control samples have the same
        representation there.
        """
        found: list[LayerDrift] = []
        for at in layers:
            control_drift = self._control(part, at.layer, changed[at.layer], control.replace("_", " "))
            interval = control_drift.interval
            values = {
                f"{control}_drift": control_drift.drift,
                f"{control}_low": None if interval is None else interval.low,
                f"{control}_high": None if interval is None else interval.high,
            }
            found.append(at.model_copy(update=values))
        return found

    def with_rounding(self, name: str, layers: Sequence[LayerDrift], rounded: Rows, part: Tensor) -> list[LayerDrift]:
        """Adds the drift of the base model with rounded weights, and that of the model `name` over the same control samples.

        Takes and raises what `with_control` does.
        """
        primary = measure(PRIMARY_MEASURE)
        found: list[LayerDrift] = []
        for at in self.with_control(layers, "rounding", rounded, part):
            base = _prepared(self.base[at.layer][part], at.layer, "base model")
            tuned = _prepared(self.tuned[name][at.layer][part], at.layer, "tuned model")
            found.append(at.model_copy(update={"control_drift": 1 - primary.compare(base, tuned)}))
        return found

    def between(self) -> list[BetweenModels]:
        """Drift between every two of the measured models, layer by layer."""
        primary = measure(PRIMARY_MEASURE)
        found: list[BetweenModels] = []
        for layer in self.base:
            prepared = {name: primary.prepare(rows[layer]) for name, rows in self.tuned.items()}
            found += [
                BetweenModels(first=a, second=b, layer=layer, drift=1 - primary.compare(prepared[a], prepared[b]))
                for a, b in combinations(prepared, 2)
            ]
        return found

    def _layer(self, model: str, layer: int, tuned: Tensor) -> LayerDrift:
        primary = measure(PRIMARY_MEASURE)
        base_rows, tuned_rows = Representation(self.base[layer]), _representation(tuned, layer, "tuned model")
        base, other = primary.prepare(base_rows), _prepared(tuned_rows, layer, "tuned model")
        value = primary.compare(base, other)
        interval = self._interval(base, other, self.groups, (base_rows, tuned_rows))
        if isinstance(interval, GroupedInterval):
            self.pull.setdefault(model, []).append(interval.pull)
        values: dict[str, float | None] = {PRIMARY_MEASURE: value}
        intervals: dict[str, DriftInterval] = {}
        for name in self.measures:
            if name != PRIMARY_MEASURE:
                found = _value(name, base_rows, tuned_rows)
                values[name] = found.value
                if name in self.interval_for and found.value is not None:
                    further = self._further_interval(name, base_rows, tuned_rows)
                    intervals |= {} if further is None else {name: further}
                if found.reason is not None:
                    self.undefined.setdefault((model, name), {})[layer] = found.reason
        return LayerDrift(
            layer=layer,
            rows=int(tuned.shape[0]),
            drift=1 - value,
            drift_low=interval.low if interval else None,
            drift_high=interval.high if interval else None,
            freedom=_freedom(interval, int(tuned.shape[0])),
            values=values,
            intervals=intervals,
            mispaired_drift=1 - float(primary.mispaired(base, other, mispairings(tuned.shape[0])).mean()),
        )

    def _interval(
        self,
        base: Any,
        other: Any,
        groups: Sequence[str] | None,
        representations: tuple[Representation, Representation],
    ) -> GroupedInterval | Interval | None:
        """The interval of a drift over samples, or over their groups; None if there is none. groups: of these rows."""
        if not self.intervals:
            return None
        primary = measure(PRIMARY_MEASURE)
        if groups is None or not is_grouped(groups):
            found = primary.interval(base, other)
            return None if found is None else Interval(1 - found.high, 1 - found.low)
        draws = draws_of(len(groups), groups, PRIMARY_MEASURE, SamplingOptions(replicates=0), unit=self.unit)
        return drift_interval(primary, base, other, draws, representations)

    def _further_interval(self, name: str, base: Representation, tuned: Representation) -> DriftInterval | None:
        """The interval of the drift by another measure: the jackknife over samples, or over 40 parts of them where that has no closed form."""
        if not self.intervals:
            return None
        m = measure(name)
        groups = self.groups if self.groups is not None and is_grouped(self.groups) else None
        draws = draws_of(base.n, groups, PRIMARY_MEASURE, SamplingOptions(replicates=0), unit=self.unit)
        found = drift_interval(m, m.prepare(base), m.prepare(tuned), draws, (base, tuned))
        return None if found is None else DriftInterval(low=found.low, high=found.high, freedom=found.freedom)

    def _control(self, rows: Tensor, layer: int, changed: Tensor, whose: str) -> _ControlDrift:
        """The drift of a changed base model over the control samples. rows: their numbers. changed: (m, d), its rows of them."""
        one, two = (
            _representation(self.base[layer][rows], layer, "base model"),
            _representation(changed, layer, whose),
        )
        prepared = _prepared(one, layer, "base model"), _prepared(two, layer, whose)
        drift = 1 - measure(PRIMARY_MEASURE).compare(*prepared)
        if prepared[0].n < _FEWEST_FOR_INTERVAL:
            return _ControlDrift(drift, None)
        groups = None if self.groups is None else [self.groups[int(row)] for row in rows]
        return _ControlDrift(drift, self._interval(*prepared, groups, (one, two)))

    def _noise(self, part: Tensor, second: Tensor, layer: int) -> tuple[float, float | None]:
        """|drift| between two runs over the same rows, and the largest size that its interval allows (None: no interval)."""
        found = self._control(part, layer, second, "base model, again")
        floor, interval = abs(found.drift), found.interval
        return floor, None if interval is None else max(floor, abs(interval.low), abs(interval.high))


def _freedom(interval: GroupedInterval | Interval | None, rows: int) -> float | None:
    """Degrees of freedom of Student's t behind an interval; None without one."""
    if interval is None:
        return None
    return interval.freedom if isinstance(interval, GroupedInterval) else float(rows - 1)


def _value(name: str, base: Representation, tuned: Representation) -> MeasureValue:
    m = measure(name)
    if m.same_width and tuned.p != base.p:
        return MeasureValue(None, f"this takes equal numbers of features, and there are {base.p} and {tuned.p}")
    try:
        return MeasureValue(m(base, tuned))
    except DegenerateInputError as error:
        return MeasureValue(None, str(error))


def _representation(rows: Tensor, layer: int, whose: str) -> Representation:
    try:
        return Representation(rows)
    except DegenerateInputError as error:
        raise DegenerateInputError(f"layer {layer}: {whose}: {error}") from error


def _prepared(rows: Tensor | Representation, layer: int, whose: str) -> Any:
    try:
        return measure(PRIMARY_MEASURE).prepare(rows)
    except DegenerateInputError as error:
        raise DegenerateInputError(f"layer {layer}: {whose}: {error}") from error
