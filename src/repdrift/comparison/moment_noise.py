"""Noise of a comparison that keeps sums only: the base model beside itself in other batches, and beside itself in float32."""

from __future__ import annotations

from typing import Any

from repdrift.batches.batching import BatchPlan
from repdrift.comparison.control_batches import InParts
from repdrift.comparison.paired_pass import Accumulators, ModelRun, stream
from repdrift.core.errors import DegenerateInputError
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.similarity.streaming import PairedAccumulator

_NOISE_BATCHES = 4


def noise_between_runs(base: ModelRun, plan: BatchPlan) -> dict[SiteLayer, float]:
    """Runs some batches through the base model twice. Returns by site and layer |drift| between the two runs.

    The second run takes each batch in parts of at most a third of the token budget. Raises DegenerateInputError naming the layer
    if the drift is undefined.
    """
    parts: Any = InParts(base.extractor, max(1, plan.token_budget // 3))
    again = ModelRun(parts, base.switch)
    found: Accumulators = {}
    for number in range(0, len(plan), max(1, len(plan) // _NOISE_BATCHES)):
        batch = plan[number]
        first, second = base.rows(batch), again.rows(batch)
        for place, rows in first.items():
            found.setdefault(place, PairedAccumulator(1)).update(rows, [second[place]])
    return _drifts(found, 1)


def noise_of_rounding(base: ModelRun, exact: ModelRun, plan: BatchPlan) -> dict[SiteLayer, float]:
    """Returns by site and layer how far two models drift apart that are equal but for the rounding of the run, each rounded for itself.

    exact: the base model in float32. It is twice the drift between that and the base model as it is run. Raises
    DegenerateInputError naming the layer if the drift is undefined.
    """
    sums = stream(base, [exact], plan, range(len(plan)), what="base model, in float32")
    return _drifts(sums, 2)


def _drifts(sums: Accumulators, times: int) -> dict[SiteLayer, float]:
    """Returns |drift| at every place, `times` over; a site other than the residual stream at which it is undefined is left out."""
    found: dict[SiteLayer, float] = {}
    for place, accumulator in sums.items():
        try:
            found[place] = times * abs(1 - cka_of(accumulator, 0, place))
        except DegenerateInputError:
            if place.site == RESID_POST:
                raise
    return found


def cka_of(accumulator: PairedAccumulator, k: int, place: SiteLayer) -> float:
    """Debiased CKA of the base model with tuned model `k` of the sums. Raises DegenerateInputError naming the place."""
    try:
        return accumulator.result(k).cka
    except DegenerateInputError as error:
        raise DegenerateInputError(f"{place.words}: {error}") from error
