"""Comparison from streamed moments, with the controls taken on a part of the batches, since they need no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import Any

import numpy as np
from torch import Tensor, nn

from repdrift.comparison.loaded_models import (
    OWN,
    SHARED,
    Held,
    extractor_for,
    load_base,
    loaded,
    share_base,
    split_adapters,
)
from repdrift.comparison.measured import Measured
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.paired_pass import Accumulators, Side, stream
from repdrift.comparison.tuned_model import Candidate, layer_count_fault
from repdrift.comparison.weight_changes import WeightChanges, changes_of, run_randomly_changed, with_weights
from repdrift.core.errors import DegenerateInputError, ModelError, RepdriftError
from repdrift.core.progress import say
from repdrift.core.records.comparison import BaseLayer, BetweenModels, LayerDrift
from repdrift.extraction.batching import BatchPlan
from repdrift.extraction.distributed import world
from repdrift.extraction.extractor import require_lengths_fit
from repdrift.models import AdaptedBase, ModelSource
from repdrift.similarity import measure
from repdrift.similarity.measure import EXACT
from repdrift.similarity.streaming import PairedAccumulator, PairedResult
from repdrift.tasks import SampleSet

_NEEDS_ROWS = "this takes the rows themselves (--accumulate rows), and only sums were kept"

CONTROL_ROWS = 16384
"""Rows on which the controls are measured, at least (or all there are)."""


def compare_by_moments(
    base: ModelSource, held: Held, candidates: Sequence[Candidate], samples: SampleSet, options: ComparisonOptions
) -> Measured:
    """Adapters that can share the base model's weights go through one pass together; every other model through one of
    its own, beside the base model."""
    return _MomentComparison(base, held.take(), samples, options).run(candidates)


class _MomentComparison:
    def __init__(self, base: ModelSource, model: nn.Module, samples: SampleSet, options: ComparisonOptions) -> None:
        self.source, self.samples, self.options = base, samples, options
        self.measured = Measured("moments")
        self.base = Side(extractor_for(model, options), nullcontext)
        self.model: nn.Module | None = model  # of which the extractor may run a part alone
        self.noise: dict[int, float] = {}

    def run(self, candidates: Sequence[Candidate]) -> Measured:
        sharing, reasons = split_adapters(candidates)
        adapted, why = self._share(sharing)
        self.model = None
        if adapted is not None:
            why = self._measure_sharing(adapted, sharing)
        if why is not None:
            reasons |= {c.name: why for c in sharing}
        for candidate in candidates:
            if candidate.name in self.measured.weights or candidate.name in self.measured.failed:
                continue
            try:
                with loaded(self.source, candidate, self.options) as model:
                    extractor = extractor_for(model, self.options)
                    if len(extractor.blocks) != len(self.base.extractor.blocks):
                        raise ModelError(layer_count_fault(len(extractor.blocks), len(self.base.extractor.blocks)))
                    require_lengths_fit(self.samples, getattr(extractor.backbone, "config", None))
                    reason = reasons.get(candidate.name)
                    change = changes_of(self.source, candidate, model, self._blocks_path, self.options.stack)
                    say(f"running {candidate.name} beside the base model")
                    words = OWN + (f": {reason}" if reason else "")
                    self._measure([candidate.name], [Side(extractor, nullcontext)], [change], words)
            except RepdriftError as error:
                self.measured.failed[candidate.name] = str(error)
        return self.measured

    def _measure_sharing(self, adapted: AdaptedBase, sharing: Sequence[Candidate]) -> str | None:
        """All adapters in one pass. Returns why not, if one of them fails: then each is to be run by itself."""
        names = [c.name for c in sharing]
        sides = [Side(self.base.extractor, _tuned(adapted, k)) for k in range(len(sharing))]
        changes: list[WeightChanges] = []
        try:
            for candidate, side in zip(sharing, sides, strict=True):
                with side.switch() as model:
                    changes.append(changes_of(self.source, candidate, model, self._blocks_path, self.options.stack))
            self._measure(names, sides, changes, SHARED)
            self._between(names, sides)
        except RepdriftError as error:
            if len(sharing) == 1:
                self.measured.failed[names[0]] = str(error)
                return None
            say(f"not all adapters can be measured: {error}")
            return "an adapter beside it cannot be measured"
        return None

    @property
    def _blocks_path(self) -> str:
        return self.base.extractor.blocks.path

    def _share(self, sharing: Sequence[Candidate]) -> tuple[AdaptedBase | None, str | None]:
        if not sharing:
            return None, None
        assert self.model is not None  # noqa: S101  taken back in `run`, after this
        try:
            adapted, why = share_base(self.model, self.source, sharing, self.samples, self.options)
        except ModelError as error:
            say(f"not all adapters fit: {error}")
            adapted, why = None, None if len(sharing) == 1 else "an adapter beside it does not fit the base model"
        if adapted is None:
            if why is not None:
                say(f"{why}: each is loaded on weights of its own")
            self.model = None
            self.base = Side(extractor_for(load_base(self.source, self.options), self.options), nullcontext)
            return None, why
        for note in adapted.notes:
            say(f"note: {note}")
        self.base = Side(self.base.extractor, adapted.base)
        return adapted, None

    def _plan(self, tuned: int) -> tuple[BatchPlan, list[int]]:
        """The batches, smaller the more models' hidden states are held at once, and those that the controls take."""
        extractor = self.base.extractor
        budget = self.options.token_budget or max(1, extractor.token_budget // tuned)
        plan = BatchPlan(self.samples, token_budget=budget, window_tokens=extractor.plan(self.samples).window_tokens)
        rows = [len(indices) for indices in plan.sample_indices]
        if self.options.pooling == "tokens":
            rows = [sum(len(self.samples.input_ids[i]) for i in indices) for indices in plan.sample_indices]
        every = max(1, sum(rows) // CONTROL_ROWS)
        return plan, list(range(0, len(plan), every))

    def _measure(
        self, names: Sequence[str], sides: Sequence[Side], changes: Sequence[WeightChanges], weights: str
    ) -> None:
        plan, some = self._plan(len(sides))
        found = stream(self.base, sides, plan, range(len(plan)), what=", ".join(names))
        mispaired: Accumulators | None = None
        randoms: list[Accumulators | None] = [None] * len(names)
        if self.options.controls:
            self._measure_noise(plan, some)
            dealt = _dealt(plan, some)
            mispaired = stream(self.base, sides, dealt, range(len(dealt)), change=_mispair, what="mispaired")
        notes: list[str] = []
        for k, (name, change) in enumerate(zip(names, changes, strict=True)):

            def streamed(model: nn.Module, name: str = name) -> Accumulators:
                side = Side(extractor_for(model, self.options), nullcontext)
                return stream(self.base, [side], plan, some, what=f"random change as large as {name}")

            randoms[k] = run_randomly_changed(self.source, name, change, self.options, streamed, notes.append)
        layers: dict[str, list[LayerDrift]] = {}
        with world().together(f"{', '.join(names)}, measured"):
            for k, name in enumerate(names):
                if world().is_first:
                    at = [self._layer(name, layer, found, k, mispaired, randoms[k]) for layer in found]
                    layers[name] = with_weights(at, changes[k])
        self.measured.layers |= layers
        self.measured.weights |= dict.fromkeys(names, weights)
        self.measured.notes += notes
        if world().is_first and not self.measured.base_layers:
            self.measured.base_layers = list(self._base_layers(found))

    def _measure_noise(self, plan: BatchPlan, some: Sequence[int]) -> None:
        """The base model against itself: the same samples in the same order, run in parts of a third of the batch."""
        if self.noise:
            return
        again = Side(_InParts(self.base.extractor, max(1, plan.token_budget // 3)), self.base.switch)  # pyright: ignore
        found: Accumulators = {}
        for number in some[:: max(1, len(some) // 4)]:
            batch = plan[number]
            rows, others = self.base.rows(batch), again.rows(batch)
            for layer, base_rows in rows.items():
                found.setdefault(layer, PairedAccumulator(1)).update(base_rows, [others[layer]])
        self.noise = {layer: abs(1 - accumulator.result(0).cka) for layer, accumulator in found.items()}

    def _between(self, names: Sequence[str], sides: Sequence[Side]) -> None:
        if len(sides) < 2 or not self.options.controls:
            return
        plan, some = self._plan(len(sides))
        for first in range(len(sides) - 1):
            found = stream(sides[first], sides[first + 1 :], plan, some, what="between the tuned models")
            if world().is_first:
                self.measured.between += [
                    BetweenModels(
                        first=names[first], second=names[first + 1 + k], layer=layer, drift=1 - _cka(at, k, layer)
                    )
                    for layer, at in found.items()
                    for k in range(len(sides) - first - 1)
                ]

    def _layer(
        self,
        model: str,
        layer: int,
        found: Accumulators,
        k: int,
        mispaired: Accumulators | None,
        random: Accumulators | None,
    ) -> LayerDrift:
        result = found[layer].result(k)
        values: dict[str, float | None] = {}
        for name in self.options.measures:
            values[name], reason = _value(result, name)
            if reason is not None:
                self.measured.undefined.setdefault((model, name), {})[layer] = reason
        value = _cka(found[layer], k, layer)
        noise = self.noise.get(layer)
        return LayerDrift(
            layer=layer,
            rows=result.n,
            drift=1 - value,
            values=values,
            above_noise=None if noise is None else bool(1 - value > noise),
            mispaired_drift=None if mispaired is None else 1 - _cka(mispaired[layer], k, layer),
            random_change_drift=None if random is None else 1 - _cka(random[layer], 0, layer),
        )

    def _base_layers(self, found: Accumulators) -> Iterator[BaseLayer]:
        for layer, accumulator in found.items():
            spread = accumulator.result(0).base
            yield BaseLayer(
                layer=layer,
                noise_floor=self.noise.get(layer),
                top_feature_share=spread.top_share,
                participation_ratio=spread.participation_ratio,
                largest_activation=spread.largest_activation,
            )


class _InParts:
    """An extractor that runs every batch in parts of at most so many tokens."""

    def __init__(self, extractor: Any, most_tokens: int) -> None:
        self._extractor = extractor
        self._most_tokens = most_tokens
        self.layers = extractor.layers

    def forward(self, batch: Any, on_block: Any) -> None:
        for part in batch.split(self._most_tokens):
            self._extractor.forward(part, on_block)


def _tuned(adapted: AdaptedBase, number: int) -> Callable[[], AbstractContextManager[nn.Module]]:
    return lambda: adapted.tuned(number)


def _dealt(plan: BatchPlan, some: Sequence[int]) -> BatchPlan:
    """The samples of some batches, dealt into other ones at random, two at least to each where there are two.

    The plan's batches are of samples of like length: mispaired among themselves they would keep what length tells.
    """
    lengths = plan.samples.lengths
    chosen = np.array([index for number in some for index in plan.sample_indices[number]])
    batches: list[list[int]] = []
    longest = 0
    for index in np.random.default_rng(20240).permutation(chosen).tolist():
        longest = max(longest, lengths[index])
        if not batches or (len(batches[-1]) > 1 and (len(batches[-1]) + 1) * longest > plan.token_budget):
            batches.append([])
            longest = lengths[index]
        batches[-1].append(index)
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2] += batches.pop()
    dealt = copy(plan)
    dealt.sample_indices = batches
    return dealt


def _mispair(rows: Tensor) -> Tensor:
    """Every row moved by half the batch: it meets a row of another sample."""
    return rows.roll(max(1, rows.shape[0] // 2), dims=0)


def _cka(accumulator: PairedAccumulator, k: int, layer: int) -> float:
    try:
        return accumulator.result(k).cka
    except DegenerateInputError as error:
        raise DegenerateInputError(f"layer {layer}: {error}") from error


def _value(result: PairedResult, name: str) -> tuple[float | None, str | None]:
    """A measure that moments give, or why there is none."""
    m = measure(name)
    if m.streaming != EXACT:
        return None, _NEEDS_ROWS
    try:
        return m.from_moments(result), None
    except DegenerateInputError as error:
        return None, str(error)
