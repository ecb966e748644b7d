"""Trains one published model again, measures its drift, and judges how far its numbers lie from the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repdrift.core.errors import SampleSetMismatchError
from repdrift.core.records.reproduction import Expected, ReproducedModel, ReproductionVerdict
from repdrift.core.records.run import RunRecord
from repdrift.core.records.study_info import RunStatus
from repdrift.core.reproduction_words import printed_drift, printed_score
from repdrift.drift.measurement import measure_tasks
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.drift.task_sets import find_runs, open_task
from repdrift.sharing.reproduction.published import PublishedModel, PublishedStudy
from repdrift.statistics.prediction import prediction_interval
from repdrift.study.drift_plan import drift_plan
from repdrift.study.extraction_stage import extract_runs
from repdrift.study.inputs import StudyInputs
from repdrift.study.training_stage import find_run, train_run


def make_again(study: PublishedStudy, model: PublishedModel, inputs: StudyInputs, confidence: float) -> ReproducedModel:
    """Train and measure a model, unless that is done already, and hold it against what was published.

    confidence: of each interval in which a number of another seed would lie. `require_the_same` and `ready_jobs` have passed. Raises what training and extraction raise.
    """
    train_run(inputs, model.run, wait=True)
    extract_runs(inputs, [model.run])
    drift = _drift(study, model, inputs)
    published = study.drift(model.status).tolist()
    record, then = find_run(inputs, model.run).record, model.trained
    metric = _metric(model.status, record)
    scores = (None, None) if metric is None else (model.status.metrics.get(metric), record.metrics.get(metric))
    same_weights = record.weights_digest == then.weights_digest
    alike = study.alike(model.run)
    expected_drift = _expected([float(study.drift(each).mean()) for each in alike], confidence)
    found = [each.metrics.get(metric) for each in alike] if metric is not None else []
    expected_score = _expected([score for score in found if score is not None], confidence)
    return ReproducedModel(
        task=model.run.task,
        method=model.run.method,
        seed=model.run.seed,
        learning_rate=float(record.hyperparameters["learning_rate"]),
        steps=record.final_step,
        layers=study.data.layers,
        drift_published=published,
        drift_again=drift,
        metric=metric,
        score_published=scores[0],
        score_again=scores[1],
        same_weights=same_weights,
        published_models=len(alike),
        expected_drift=expected_drift,
        expected_score=expected_score,
        verdict=verdict(
            (published, drift), scores, (expected_drift, expected_score), metric=metric, same_weights=same_weights
        ),
        processor_published=then.processor,
        processor_again=record.processor,
        versions_published=then.versions,
        published_started=then.started,
        wall_time_s=record.wall_time_s,
    )


def verdict(
    drifts: tuple[Sequence[float], Sequence[float]],
    scores: tuple[float | None, float | None],
    expected: tuple[Expected | None, Expected | None],
    *,
    metric: str | None,
    same_weights: bool,
) -> ReproductionVerdict:
    """Judges one model. drifts, by layer, and scores: published, and again. expected: where the mean drift and the score of another seed would lie."""
    published, again = drifts
    if [*map(printed_drift, published)] == [*map(printed_drift, again)] and (
        printed_score(scores[0], metric) == printed_score(scores[1], metric)
    ):
        return "same weights" if same_weights else "same numbers"
    of_drift, of_score = expected
    means = sum(again) / len(again), sum(published) / len(published)
    judged = [None if of_drift is None else of_drift.allows(*means)]
    if scores[0] is not None and scores[1] is not None:
        judged.append(None if of_score is None else of_score.allows(scores[1], scores[0]))
    if False in judged:
        return "differs"
    return "not judged" if None in judged else "like another seed"


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
    """The score that is compared: the primary one, which says whether a model has learnt; else the first that both have."""
    primary = record.learnt.metric if record.learnt is not None else None
    names = [primary, *record.metrics] if primary is not None else [*record.metrics]
    return next((name for name in names if published.metrics.get(name) is not None), None)


def _expected(values: Sequence[float], confidence: float) -> Expected | None:
    if len(values) < 2:
        return None
    low, high = prediction_interval(values, confidence=confidence)
    return Expected(low=low, high=high)
