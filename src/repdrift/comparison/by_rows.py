"""Comparison from pooled rows kept in memory: every measure, intervals, and all controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.core.records.comparison import BaseLayer, BetweenModels, LayerDrift
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.drift.chosen_measures import Reasons
from repdrift.drift.control_conditions import mispairings
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.distributed import world
from repdrift.extraction.extractor import PooledBatch
from repdrift.extraction.row_index import RowIndex
from repdrift.similarity import Representation, measure
from repdrift.tasks import SampleSet

Rows = dict[int, Tensor]


def pooled_rows(extractor: RepresentationExtractor, samples: SampleSet, *, what: str) -> Rows | None:
    """Representations by layer, (n, d), of all processes together; None in all processes but the first.

    Raises as `RepresentationExtractor.extract`, in every process what one of them raises.
    """
    ours = world()
    if ours.size == 1:
        return extractor.extract(samples, what=what)
    mine: list[PooledBatch] = []
    with ours.together(what):
        plan = extractor.plan(samples)
        mine = list(extractor.batches(plan, numbers=ours.share(len(plan)), what=what))
    gathered = ours.gather(mine)
    if gathered is None:
        return None
    batches = [batch for of_process in gathered for batch in of_process]
    n_rows = RowIndex(samples, extractor.pooling).n_rows
    found = {layer: torch.empty((n_rows, values.shape[1])) for layer, values in batches[0].layers.items()}
    for batch in batches:
        for layer, values in batch.layers.items():
            found[layer][batch.rows] = values
    return found


@dataclass
class RowComparison:
    """Measures tuned models against the base model's rows.

    noise: the base model's rows from other batches. intervals: whether the rows are independent, as samples are and the
    tokens of a sample are not. Raises DegenerateInputError at once if a layer gives all of the base model's rows one value.
    """

    base: Rows
    noise: Rows | None
    measures: Sequence[str]
    intervals: bool = True
    undefined: dict[tuple[str, str], Reasons] = field(default_factory=dict)
    """By model and measure: the layers at which it has no value, and why."""
    _floors: dict[int, float | None] = field(default_factory=dict)
    _tuned: dict[str, Rows] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for layer, rows in self.base.items():
            _prepared(rows, layer, "base model")

    def base_layers(self) -> list[BaseLayer]:
        """Noise floor and shape of every layer of the base model."""
        found: list[BaseLayer] = []
        for layer, rows in self.base.items():
            x = rows.double()
            variances = x.var(dim=0, correction=0)
            total = float(variances.sum())
            centred = x - x.mean(dim=0)
            small = centred @ centred.T if x.shape[0] <= x.shape[1] else centred.T @ centred
            found.append(
                BaseLayer(
                    layer=layer,
                    noise_floor=self.noise_floor(layer),
                    top_feature_share=float(variances.max()) / total if total else 0.0,
                    participation_ratio=float(small.trace() ** 2 / small.square().sum()) if total else 0.0,
                    largest_activation=float(x.abs().max()),
                )
            )
        return found

    def noise_floor(self, layer: int) -> float | None:
        """|drift| between two runs of the base model, None if there was one."""
        if layer not in self._floors:
            again = None if self.noise is None else self.noise[layer]
            self._floors[layer] = None if again is None else abs(1 - measure(PRIMARY_MEASURE)(self.base[layer], again))
        return self._floors[layer]

    def add(self, name: str, tuned: Rows, random: Rows | None) -> list[LayerDrift]:
        """Measure one model, layer by layer, and keep its rows for `between`. Raises DegenerateInputError naming the layer."""
        found = [
            self._layer(name, layer, tuned[layer], None if random is None else random[layer]) for layer in self.base
        ]
        self._tuned[name] = tuned
        return found

    def between(self) -> list[BetweenModels]:
        """Drift between every two of the models that were added, layer by layer."""
        m = measure(PRIMARY_MEASURE)
        found: list[BetweenModels] = []
        for layer in self.base:
            prepared = {name: m.prepare(rows[layer]) for name, rows in self._tuned.items()}
            found += [
                BetweenModels(first=a, second=b, layer=layer, drift=1 - m.compare(prepared[a], prepared[b]))
                for a, b in combinations(prepared, 2)
            ]
        return found

    def _layer(self, model: str, layer: int, tuned: Tensor, random: Tensor | None) -> LayerDrift:
        primary = measure(PRIMARY_MEASURE)
        base_side, tuned_side = Representation(self.base[layer]), _side(tuned, layer, "tuned model")
        base, other = primary.prepare(base_side), _prepared(tuned_side, layer, "tuned model")
        value = primary.compare(base, other)
        interval = primary.interval(base, other) if self.intervals else None
        values: dict[str, float | None] = {PRIMARY_MEASURE: value}
        for name in self.measures:
            if name != PRIMARY_MEASURE:
                values[name], reason = _value(name, base_side, tuned_side)
                if reason is not None:
                    self.undefined.setdefault((model, name), {})[layer] = reason
        noise = self.noise_floor(layer)
        return LayerDrift(
            layer=layer,
            rows=int(tuned.shape[0]),
            drift=1 - value,
            drift_low=1 - interval.high if interval else None,
            drift_high=1 - interval.low if interval else None,
            values=values,
            above_noise=None if noise is None else bool(1 - value > noise),
            mispaired_drift=1 - float(primary.mispaired(base, other, mispairings(tuned.shape[0])).mean()),
            random_change_drift=None if random is None else 1 - primary.compare(base, primary.prepare(random)),
        )


def _value(name: str, base: Representation, tuned: Representation) -> tuple[float | None, str | None]:
    """The value, or why there is none; the primary measure has one, or there would be no comparison."""
    m = measure(name)
    if m.same_width and tuned.p != base.p:
        return None, f"this takes equal numbers of features, and there are {base.p} and {tuned.p}"
    try:
        return m(base, tuned), None
    except DegenerateInputError as error:
        return None, str(error)


def _side(rows: Tensor, layer: int, whose: str) -> Representation:
    try:
        return Representation(rows)
    except DegenerateInputError as error:
        raise DegenerateInputError(f"layer {layer}: {whose}: {error}") from error


def _prepared(rows: Tensor | Representation, layer: int, whose: str) -> Any:
    try:
        return measure(PRIMARY_MEASURE).prepare(rows)
    except DegenerateInputError as error:
        raise DegenerateInputError(f"layer {layer}: {whose}: {error}") from error
