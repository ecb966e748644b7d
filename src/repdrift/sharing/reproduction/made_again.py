"""Trains one published model again, measures its drift, and judges how far its numbers lie from the published ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from repdrift.core.errors import NonFiniteError, SampleSetMismatchError
from repdrift.core.records.reproduction import Expected, ReproducedModel, ReproductionVerdict
from repdrift.core.records.run import Learnt, RunRecord
from repdrift.core.records.study_info import RunStatus
from repdrift.core.reproduction_words import printed_drift, printed_score
from repdrift.core.words import listed
from repdrift.drift.measurement import measure_tasks
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.drift.task_sets import find_runs, open_task
from repdrift.sharing.reproduction.published import PublishedModel, PublishedStudy
from repdrift.sharing.reproduction.same_study import unknown_of
from repdrift.statistics.prediction import prediction_interval
from repdrift.study.drift_plan import drift_plan
from repdrift.study.extraction_stage import extract_runs
from repdrift.study.inputs import StudyInputs
from repdrift.study.training_stage import find_run, train_run
from repdrift.training import finished_runs

_ROUNDING = 1e-3
"""Relative difference of two drifts that another order of sums can leave where the weights are equal."""


def make_again(study: PublishedStudy, model: PublishedModel, inputs: StudyInputs, confidence: float) -> ReproducedModel:
    """Train and measure a model, unless that is done already, and hold it against what was published. A training that diverges differs.

    confidence: of each interval in which a number of another seed would lie. `require_the_same` and `ready_jobs` have passed. Raises what training and
    extraction raise, but for NonFiniteError of training.
    """
    key = inputs.training_job(model.run).key()
    there = any(found.record.key == key for found in finished_runs(inputs.config.results_dir))
    published = study.drift(model.status).tolist()
    expected_drift = _expected(
        [float(study.drift(each).mean()) for each in study.alike(model.run)], confidence, _ROUNDING * max(published)
    )
    record, drift, metric, expected_score = None, [], None, None
    try:
        train_run(inputs, model.run, wait=True)
    except NonFiniteError as error:
        said: tuple[ReproductionVerdict, str] = ("differs", f"Training diverged here: {error}")
    else:
        extract_runs(inputs, [model.run])
        record = find_run(inputs, model.run).record
        drift = _drift(study, model, inputs)
        metric = _metric(model.status, record)
        expected_score = _expected_score(study, model, metric, confidence, record.n_validation)
        said = verdict(
            (published, drift),
            (model.status.metrics.get(metric or ""), record.metrics.get(metric or "")),
            (expected_drift, expected_score),
            metric=metric,
            same_weights=record.weights_digest == model.trained.weights_digest,
            unknown=unknown_of(study, model),
        )
    return ReproducedModel(
        task=model.run.task,
        method=model.run.method,
        seed=model.run.seed,
        learning_rate=float(model.trained.hyperparameters["learning_rate"]),
        steps=None if record is None else record.final_step,
        layers=study.data.layers,
        drift_published=published,
        drift_again=drift,
        metric=metric,
        score_published=model.status.metrics.get(metric or ""),
        score_again=None if record is None else record.metrics.get(metric or ""),
        same_weights=record is not None and record.weights_digest == model.trained.weights_digest,
        published_models=len(study.alike(model.run)),
        expected_drift=expected_drift,
        expected_score=expected_score,
        verdict=said[0],
        reason=said[1],
        learnt_otherwise="" if record is None else learnt_otherwise(model.status.learnt, record.learnt),
        trained_now=not there,
        processor_published=model.trained.processor,
        processor_again=None if record is None else record.processor,
        versions_published=model.trained.versions,
        versions_again={} if record is None else record.versions,
        published_started=model.trained.started,
        wall_time_s=0.0 if record is None else record.wall_time_s,
    )


def learnt_otherwise(published: Learnt | None, again: Learnt | None) -> str:
    """Says that one of two models has learnt its task and the other has not; empty where they are alike, or one of them is not known."""
    known = {each.learnt for each in (published, again) if each is not None}
    if published is None or again is None or known != {True, False}:
        return ""
    words = "has learnt its task, and made again:" if published.learnt else "has not learnt its task, and made again:"
    return f"The published model {words} {again.sentence}"


def verdict(
    drifts: tuple[Sequence[float], Sequence[float]],
    scores: tuple[float | None, float | None],
    expected: tuple[Expected | None, Expected | None],
    *,
    metric: str | None,
    same_weights: bool,
    unknown: Sequence[str] = (),
) -> tuple[ReproductionVerdict, str]:
    """Judges one model; returns the verdict and, where it is not a good one, the reason.

    drifts, by layer, and scores: published, and again. expected: where the mean drift and the score of another seed would lie. unknown: what of the
    published study could not be held against what is here, so that only equal numbers show that the same was done.
    """
    published, again = drifts
    same_score = printed_score(scores[0], metric) == printed_score(scores[1], metric)
    if [*map(printed_drift, published)] == [*map(printed_drift, again)] and same_score:
        return ("same weights" if same_weights else "same numbers"), ""
    if same_weights:
        near = all(math.isclose(a, b, rel_tol=_ROUNDING, abs_tol=1e-9) for a, b in zip(published, again, strict=True))
        if near and same_score:
            return "same weights", ""
        return (
            "differs",
            "The model is the published one, byte for byte, and the numbers are not: they were measured in another way, or changed.",
        )
    if unknown:
        return (
            "not judged",
            f"The results, of an older version, do not tell {listed(unknown)}, so that only equal numbers would show that the same was done.",
        )
    return _beside_seeds((_mean(published), _mean(again)), scores, expected, same_score=same_score)


def _beside_seeds(
    drifts: tuple[float, float],
    scores: tuple[float | None, float | None],
    expected: tuple[Expected | None, Expected | None],
    *,
    same_score: bool,
) -> tuple[ReproductionVerdict, str]:
    """Judges mean drift and score by where those of another seed would lie."""
    of_drift, of_score = expected
    judged = {"the mean drift": None if of_drift is None else of_drift.allows(drifts[1], drifts[0])}
    if scores[0] is not None:
        inside = None if of_score is None or scores[1] is None else of_score.allows(scores[1], scores[0])
        judged["the score"] = True if same_score else inside
    off = [name for name, inside in judged.items() if inside is False]
    if off:
        return (
            "differs",
            f"{listed(off)} {'lies' if len(off) == 1 else 'lie'} farther off than another seed would.".capitalize(),
        )
    if None in judged.values():
        missing = listed([name for name, inside in judged.items() if inside is None])
        return (
            "not judged",
            f"Of {missing} it is not known where another seed would lie: that takes two published models of the arm on the task.",
        )
    return "like another seed", ""


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _drift(study: PublishedStudy, model: PublishedModel, inputs: StudyInputs) -> list[float]:
    """The drift of the model that was trained again, by layer, by the study's primary measure."""
    plan = drift_plan(inputs.config, None)
    (final,) = [planned for planned in plan.sets if planned.step == 0]
    sets = open_task(model.run.task, plan.bases[model.run.task], find_runs([final]).runs)
    measure = study.results.study.primary_measure
    measured = measure_tasks([sets], [measure], measure, SamplingOptions(replicates=0, groups=0))
    by_layer: Mapping[int, float] = {row["layer"]: float(row["drift"]) for row in measured.rows}
    if list(by_layer) != study.data.layers:
        raise SampleSetMismatchError(
            f"{model.name} was published with drift in layers {study.data.layers}, and here it has layers {list(by_layer)}"
        )
    return list(by_layer.values())


def _metric(published: RunStatus, record: RunRecord) -> str | None:
    """The score that is compared: the primary one, which says whether a model has learnt; else the first that was published."""
    primary = record.learnt.metric if record.learnt is not None else None
    names = [primary, *record.metrics] if primary is not None else [*record.metrics]
    return next((name for name in names if published.metrics.get(name) is not None), None)


def _expected_score(
    study: PublishedStudy, model: PublishedModel, metric: str | None, confidence: float, rows: int
) -> Expected | None:
    """Returns where the score of another seed would lie. Scores of a few rows are often equal by chance: one row is the least difference that counts as a spread."""
    values = [each.metrics.get(metric or "") for each in study.alike(model.run)]
    return _expected([value for value in values if value is not None], confidence, math.sqrt(0.5) / max(rows, 1))


def _expected(values: Sequence[float], confidence: float, least_spread: float) -> Expected | None:
    if len(values) < 2:
        return None
    low, high = prediction_interval(values, confidence=confidence, least_spread=least_spread)
    return Expected(low=low, high=high)
