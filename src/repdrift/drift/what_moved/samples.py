"""The section on samples in a study: which moved in every final model, whether the seeds agree, and groups beside the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from repdrift.core.errors import DegenerateInputError, RepdriftError, SampleSetMismatchError
from repdrift.core.progress import say
from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.sample_moves import SAMPLES_TABLE, ModelSamples, StudySamples, TaskSamples
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.core.words import counted, task_title
from repdrift.drift.sample_answers import answer_groups
from repdrift.drift.sample_drift import (
    MOST_SAMPLE_ROWS,
    PlaceShares,
    SampleSplit,
    bulk_moves,
    noise_of,
    place_shares,
)
from repdrift.drift.sample_frame import sample_frame
from repdrift.drift.sample_groupings import Groupings, groupings
from repdrift.drift.sample_intervals import Draws, SamplingOptions, draws_for
from repdrift.drift.sample_moves import MOST_LISTED, ModelShares, SampleView, sample_moves
from repdrift.drift.sample_strips import task_strips
from repdrift.drift.samples_over_models import SeedShares, agreement, groups_over_models, method_samples
from repdrift.drift.task_sets import OpenedSet, TaskSets, read_finite
from repdrift.drift.what_moved import StudyFound, StudyInputs, StudySection, register
from repdrift.similarity import Representation
from repdrift.similarity.kernels.sample_shares import RowParts, SampleShares
from repdrift.statistics.standing_out import times_expected
from repdrift.tasks import SampleSet

_LEVEL = 0.05


def measure(inputs: StudyInputs) -> StudyFound:
    """Measures the final model of every run, task by task. Raises DegenerateInputError if no task has one whose samples can be told apart."""
    tasks: list[TaskSamples] = []
    left_out: list[str] = []
    frames: list[pd.DataFrame] = []
    for sets in inputs.tasks:
        final = [run for run in sets.runs if run.plan.step == 0]
        rows = sets.base.metadata.shape[0]
        if not final or rows > MOST_SAMPLE_ROWS:
            why = f"{rows} rows are more than {MOST_SAMPLE_ROWS}" if final else "no final model has representations"
            left_out.append(f"{task_title(sets.task)}: {why}.")
            continue
        say(f"samples: {sets.task}, {counted(len(final), 'model')}")
        try:
            found, of_task = _task(inputs, sets, final)
        except DegenerateInputError as error:
            left_out.append(f"{task_title(sets.task)}: {error}.")
            continue
        tasks.append(found)
        frames += of_task
    if not tasks:
        raise DegenerateInputError(" ".join(left_out) or "no run has a final model with representations")
    return StudyFound(
        StudySamples(tasks=tasks, left_out=left_out), {SAMPLES_TABLE: pd.concat(frames, ignore_index=True)}
    )


def _task(inputs: StudyInputs, sets: TaskSets, final: Sequence[OpenedSet]) -> tuple[TaskSamples, list[pd.DataFrame]]:
    metadata = sets.base.metadata
    known, why_not = _known_samples(inputs, sets)
    view, groups = _view(metadata, known, texts=inputs.plan.sample_texts), _groups(known)
    draws = draws_for(metadata, SamplingOptions(replicates=0), grouped=sets.task in inputs.plan.grouped_tasks)
    models = _shares(sets, final, _split(metadata, draws), draws.units.freedom)
    by_method: dict[str, list[SeedShares]] = {}
    records: list[ModelSamples] = []
    frames: list[pd.DataFrame] = []
    for run, found in zip(final, models, strict=True):
        by_method.setdefault(run.plan.method, []).append(found)
        moves = sample_moves(found.shares, view, Groupings(groups.groups, []))
        places = [
            at.model_copy(update={"groups": [g for g in at.groups if (g.p_adjusted or 1) < _LEVEL]})
            for at in moves.places
        ]
        kept = moves.model_copy(update={"places": places})
        records.append(ModelSamples(method=run.plan.method, seed=run.plan.seed, moves=kept))
        frames += [_frame(run, at, view) for at in found.shares.places]
    unit = metadata.sample_group_unit
    strips = task_strips(inputs.plan, sets.task)
    methods = [
        method_samples(name, of, view, most=MOST_LISTED).model_copy(update={"strips": strips.by_method.get(name, [])})
        for name, of in by_method.items()
    ]
    answers = {
        name: answer_groups(inputs.plan, [run.plan for run in final if run.plan.method == name], view.ids, groups.notes)
        for name in by_method
    }
    missing = [] if draws.units.missing is None else [f"Groups have no interval over samples: {draws.units.missing}."]
    return TaskSamples(
        task=sets.task,
        samples=len(view.ids),
        group_unit=unit,
        models=records,
        methods=methods,
        agreement=[agreement(name, of, view, unit) for name, of in by_method.items()],
        groups=groups_over_models({name: tuple(of) for name, of in by_method.items()}, groups.groups, answers),
        notes=[*why_not, *groups.notes, *missing, *strips.notes],
    ), frames


def _known_samples(inputs: StudyInputs, sets: TaskSets) -> tuple[SampleSet | None, list[str]]:
    """The task's samples as its data has them now, and a sentence where they are not known: then samples have their ids alone."""
    if inputs.plan.samples_of is None:
        return None, ["The task's data is not at hand here, so that samples have their ids alone."]
    try:
        found = inputs.plan.samples_of(sets.task)
        if found.fingerprint != sets.base.metadata.sample_set_fingerprint:
            raise SampleSetMismatchError("the data or the tokenizer is another one than when the sets were extracted")
    except RepdriftError as error:
        # An error on data may quote it.
        why = (
            str(error).splitlines()[0].rstrip(".") if inputs.plan.sample_texts else "its data cannot be read as it was"
        )
        return None, [f"Samples have their ids alone, without texts, labels and groups by them: {why}."]
    return found, []


def _view(metadata: SetMetadata, known: SampleSet | None, *, texts: bool) -> SampleView:
    facts = None if known is None else known.facts
    return SampleView(
        metadata.sample_ids,
        metadata.sample_groups,
        None if facts is None else facts.labels,
        None if known is None else known.real_lengths,
        None if facts is None or not texts else facts.texts,
    )


def _groups(known: SampleSet | None) -> Groupings:
    if known is None:
        return Groupings([], [])
    facts = known.facts
    return groupings(
        labels=None if facts is None else facts.labels,
        lengths=known.real_lengths,
        columns=None if facts is None else facts.columns,
    )


def _split(metadata: SetMetadata, draws: Draws) -> SampleSplit:
    """Says which rows make a sample, and which samples are left out together."""
    if metadata.pooling != "tokens":
        return SampleSplit(None, draws.groups)
    tokens = np.array(metadata.tokens_per_sample, dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(tokens)[:-1]])
    return SampleSplit(tokens, None if draws.groups is None else draws.groups[first])


def _shares(sets: TaskSets, final: Sequence[OpenedSet], split: SampleSplit, freedom: float | None) -> list[SeedShares]:
    """Shares of every final model, one place of all sets in memory at a time."""
    random = {(of.plan.method, of.plan.seed): of.stored for of in sets.random_changes if of.plan.step == 0}
    found: list[list[PlaceShares]] = [[] for _ in final]
    controls: list[list[RowParts]] = [[] for _ in final]
    changes: list[dict[SiteLayer, RowParts]] = [{} for _ in final]
    places = [place for place in sets.base.places if all(place in run.stored.places for run in final)]
    layers = sum(place.site == RESID_POST for place in places)
    for place in places:
        tests = layers if place.site == RESID_POST else len(places) - layers  # other sites change nothing about layers
        base = Representation(read_finite(sets.base, place))
        noise = None
        if sets.identity is not None and place in sets.identity.places:
            noise = noise_of(base, Representation(read_finite(sets.identity, place)), split.rows_of_sample)
        for number, run in enumerate(final):
            stored = random.get((run.plan.method, run.plan.seed))
            moves = None
            if stored is not None and place in stored.places and split.rows_of_sample is None:
                changed = Representation(read_finite(stored, place))
                parts = changes[number][place] = SampleShares(base, changed).parts()
                moves = bulk_moves(base, changed, parts)
                if place.site == RESID_POST:
                    controls[number].append(moves)
            other = Representation(read_finite(run.stored, place))
            found[number].append(place_shares(place, base, other, split, noise=noise, by_chance=moves, tests=tests))
    return [
        SeedShares(run.plan.seed, ModelShares(of, change, _all_rows(change), freedom), _moved_by_chance(control))
        for run, of, control, change in zip(final, found, controls, changes, strict=True)
    ]


def _all_rows(change: dict[SiteLayer, RowParts]) -> np.ndarray | None:
    """The samples that a random change was measured on: all of them; None where it was not run."""
    return np.arange(len(next(iter(change.values())).share)) if change else None


def _moved_by_chance(control: Sequence[RowParts]) -> np.ndarray | None:
    if not control:
        return None
    return times_expected(
        np.sum([of.share for of in control], axis=0), np.sum([of.base_weight for of in control], axis=0)
    )


def _frame(run: OpenedSet, at: PlaceShares, view: SampleView) -> pd.DataFrame:
    keys: dict[str, Any] = {
        "task": run.plan.task,
        "method": run.plan.method,
        "seed": run.plan.seed,
        "step": run.plan.step,
        "site": at.place.site,
        "layer": at.place.layer,
    }
    cosine = None if at.cosine_change is None else at.cosine_change.tolist()
    numbers = {
        "share": at.parts.share.tolist(),
        "own_drift": at.parts.own_drift.tolist(),
        "cosine_change": cosine,
        "stands_out": at.stands_out.tolist(),
    }
    return sample_frame(keys, view.ids, {"group": view.groups, "label": view.labels, "length": view.lengths}, numbers)


register(StudySection("samples", 30, (SAMPLES_TABLE,), measure))
