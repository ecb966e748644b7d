"""A base model against models tuned from it: run, measured, put together with the controls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from torch import nn

from repdrift.comparison.by_moments import compare_by_moments
from repdrift.comparison.by_rows import RowComparison, Rows, pooled_rows
from repdrift.comparison.cautions import findings
from repdrift.comparison.loaded_models import Held, each_tuned, extractor_for, load_base
from repdrift.comparison.measured import Measured
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import Candidate, layer_count_fault
from repdrift.comparison.weight_changes import WeightChanges, changes_of, run_randomly_changed, with_weights
from repdrift.core.errors import ModelError, RepdriftError
from repdrift.core.progress import say
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.versions import library_versions
from repdrift.drift.chosen_measures import without_value
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.distributed import world
from repdrift.models import ASSUMED_WIDTH, ModelSource, width_of
from repdrift.tasks import SampleSet

_ROWS_LIMIT_BYTES = 1 << 30
"""Of pooled rows of all models together; where they take more, and more than moments would, only moments are kept."""


def compare_models(
    base: ModelSource, candidates: Sequence[Candidate], samples: SampleSet, options: ComparisonOptions
) -> Comparison:
    """Drift of every candidate from `base` on `samples`, layer by layer, with the controls.

    A candidate that cannot be compared is in the result with the reason, and the others are compared. Under `torchrun`
    the samples are shared out and every process returns the same result.
    Raises ModelError if the base model cannot be loaded, and of the base model's own representations NonFiniteError
    naming layer and sample, DataError if a sample is longer than it takes, DegenerateInputError if a layer gives all
    samples one representation.
    """
    clock = time.perf_counter()
    able = [c for c in candidates if c.refused is None]
    model = load_base(base, options)
    keeps_rows = _keeps_rows(options, extractor_for(model, options), samples, len(able))
    held = Held(model)
    del model
    if keeps_rows:
        measured = _by_rows(base, held, able, samples, options)
    else:
        measured = compare_by_moments(base, held, able, samples, options)
    measured = world().from_first(measured)
    models = [_model(candidate, measured) for candidate in candidates]
    return Comparison(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        base=base.ref,
        base_revision=base.revision,
        base_digest=base.weights_digest(),
        data=samples.source,
        task=samples.task,
        samples=len(samples),
        tokens=sum(samples.lengths),
        truncated_samples=samples.truncated_samples,
        sample_set_fingerprint=samples.fingerprint,
        pooling=options.pooling,
        compute_dtype=options.compute_dtype,
        accumulated=measured.accumulated,
        base_layers=measured.base_layers,
        models=models,
        between=measured.between,
        warnings=[
            *findings(models, measured.base_layers, samples),
            *measured.notes,
            *_without_value(measured),
        ],
        wall_time_s=round(time.perf_counter() - clock, 2),
    )


def _keeps_rows(
    options: ComparisonOptions, extractor: RepresentationExtractor, samples: SampleSet, models: int
) -> bool:
    if options.accumulate != "auto":
        return options.accumulate == "rows"
    if options.pooling == "tokens":
        return False
    width = width_of(getattr(extractor.backbone, "config", None)) or ASSUMED_WIDTH
    kept = 2 + models  # the base model twice, and every tuned model for the drift between them
    rows = 4 * len(samples) * width * len(extractor.layers) * kept
    moments = 8 * width * width * len(extractor.layers) * (1 + 2 * models)
    return rows <= max(_ROWS_LIMIT_BYTES, moments)


def _by_rows(
    base: ModelSource, held: Held, candidates: Sequence[Candidate], samples: SampleSet, options: ComparisonOptions
) -> Measured:
    measured = Measured("rows")
    model = held.take()
    extractor = extractor_for(model, options)
    path, depth, budget = extractor.blocks.path, len(extractor.blocks), extractor.token_budget
    rows = pooled_rows(extractor, samples, what="base model")
    again: Rows | None = None
    if options.controls:
        # Other batches of the same samples: what then differs is the noise of extraction.
        other = options.model_copy(update={"token_budget": max(1, budget // 3)})
        again = pooled_rows(extractor_for(model, other), samples, what="base model, again")
    comparison: RowComparison | None = None
    with world().together("base model, measured"):
        if rows is not None:
            comparison = RowComparison(rows, again, options.measures, intervals=options.pooling != "tokens")
    held.model = model
    del model, extractor
    tuned_rows: dict[str, Rows] = {}
    changes: dict[str, WeightChanges] = {}
    for candidate, weights, tuned in each_tuned(base, held, candidates, samples, options, measured.failed.__setitem__):
        say(f"running {candidate.name} ({candidate.kind}; weights: {weights})")
        try:
            found = _tuned_rows(tuned, depth, candidate, samples, options)
            changes[candidate.name] = changes_of(base, candidate, tuned, path, options.stack)
        except RepdriftError as error:
            measured.failed[candidate.name] = str(error)
        else:
            measured.weights[candidate.name] = weights
            if found is not None:
                tuned_rows[candidate.name] = found
        del tuned
    for name in list(measured.weights):

        def rows_of(model: nn.Module, name: str = name) -> Rows | None:
            return pooled_rows(extractor_for(model, options), samples, what=f"random change as large as {name}")

        randomised = run_randomly_changed(base, name, changes[name], options, rows_of, measured.notes.append)
        if comparison is not None:
            try:
                layers = comparison.add(name, tuned_rows[name], randomised)
            except RepdriftError as error:
                measured.failed[name] = str(error)
                del measured.weights[name]
            else:
                measured.layers[name] = with_weights(layers, changes[name])
    if comparison is not None:
        measured.base_layers, measured.between = comparison.base_layers(), comparison.between()
        measured.undefined = comparison.undefined
    return measured


def _tuned_rows(
    model: nn.Module, depth: int, candidate: Candidate, samples: SampleSet, options: ComparisonOptions
) -> Rows | None:
    extractor = extractor_for(model, options)
    if len(extractor.blocks) != depth:
        raise ModelError(layer_count_fault(len(extractor.blocks), depth))
    return pooled_rows(extractor, samples, what=candidate.name)


def _without_value(measured: Measured) -> list[str]:
    there = {key: reasons for key, reasons in measured.undefined.items() if key[0] not in measured.failed}
    return without_value(there, [at.layer for at in measured.base_layers], preposition="for")


def _model(candidate: Candidate, measured: Measured) -> ComparedModel:
    reason = candidate.refused or measured.failed.get(candidate.name)
    layers = measured.layers.get(candidate.name, [])
    return ComparedModel(
        name=candidate.name,
        ref=candidate.source.ref,
        kind=candidate.kind,
        status="compared" if reason is None else "not comparable",
        reason=reason,
        weights=measured.weights.get(candidate.name),
        weights_digest=None if reason else candidate.source.weights_digest(),
        layers=layers,
        mean_drift=sum(layer.drift for layer in layers) / len(layers) if layers else None,
    )
