"""Noise of a comparison that keeps sums only: the base model beside itself in other batches, and beside itself in float32."""

from __future__ import annotations

from typing import Any

from repdrift.batches.batching import BatchPlan
from repdrift.comparison.control_batches import InParts
from repdrift.comparison.paired_pass import Accumulators, ModelRun, stream
from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.streaming import PairedAccumulator

_NOISE_BATCHES = 4


def noise_between_runs(base: ModelRun, plan: BatchPlan) -> dict[int, float]:
    """Runs some batches through the base model twice. Returns by layer |drift| between the two runs.

    The second run takes each batch in parts of at most a third of the token budget. Raises DegenerateInputError naming the layer
    if the drift is undefined.
    """
    parts: Any = InParts(base.extractor, max(1, plan.token_budget // 3))
    again = ModelRun(parts, base.switch)
    found: Accumulators = {}
    for number in range(0, len(plan), max(1, len(plan) // _NOISE_BATCHES)):
        batch = plan[number]
        first, second = base.rows(batch), again.rows(batch)
        for layer, rows in first.items():
            found.setdefault(layer, PairedAccumulator(1)).update(rows, [second[layer]])
    return {layer: abs(1 - cka_of(accumulator, 0, layer)) for layer, accumulator in found.items()}


def noise_of_rounding(base: ModelRun, exact: ModelRun, plan: BatchPlan) -> dict[int, float]:
    """Returns by layer how far two models drift apart that are equal but for the rounding of the run, each rounded for itself.

    exact: the base model in float32. It is twice the drift between that and the base model as it is run. Raises
    DegenerateInputError naming the layer if the drift is undefined.
    """
    sums = stream(base, [exact], plan, range(len(plan)), what="base model, in float32")
    return {layer: 2 * abs(1 - cka_of(at, 0, layer)) for layer, at in sums.items()}


def cka_of(accumulator: PairedAccumulator, k: int, layer: int) -> float:
    """Debiased CKA of the base model with tuned model `k` of the sums. Raises DegenerateInputError naming the layer."""
    try:
        return accumulator.result(k).cka
    except DegenerateInputError as error:
        raise DegenerateInputError(f"layer {layer}: {error}") from error
