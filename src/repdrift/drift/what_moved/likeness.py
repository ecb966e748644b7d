"""The section on likeness in a study: how alike the changes of any two final models are, across seeds, methods and tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from repdrift.core.errors import DegenerateInputError, RepdriftError
from repdrift.core.likeness_matrices import mean_over_layers
from repdrift.core.records.likeness import LIKENESS_TABLE, ChangeLikeness, DirectionPair, LikenessModel, PairLikeness
from repdrift.core.records.run import MODEL_FOLDER
from repdrift.core.site_rows import residual_rows
from repdrift.core.words import method_title, models_apart, task_title
from repdrift.drift.likeness.measuring import (
    clustered,
    contrasts_of,
    correlations_of,
    cosines_of,
    matrix_of,
    profile_pairs,
    records_of_pairs,
    weight_pairs_of,
)
from repdrift.drift.likeness.stored import base_on_this_machine, stored_likenesses
from repdrift.drift.likeness.tables import likeness_table
from repdrift.drift.task_sets import OpenedSet, TaskSets
from repdrift.drift.what_moved import StudyFound, StudyInputs, StudySection, register
from repdrift.drift.what_moved.directions import settings_of
from repdrift.models import ModelSource, resolve_model
from repdrift.weights.change_likeness import ChangeLikenesses
from repdrift.weights.singular_subspaces import LEADING

Run = tuple[str, str, int]
"""Task, method and seed."""


def measure(inputs: StudyInputs) -> StudyFound:
    """Compares every two final models. Raises DegenerateInputError if there are fewer than two."""
    final = [(sets, run) for sets in inputs.tasks for run in sets.runs if run.plan.step == 0]
    if len(final) < 2:
        raise DegenerateInputError(f"likeness is that of two final models, and {len(final)} has representations")
    models = [_model(run) for _, run in final]
    places = {(run.plan.task, run.plan.method, run.plan.seed): place for place, (_, run) in enumerate(final)}
    left_out: list[str] = []
    names = [model.name for model in models]
    weights = _of_weights(final, names, left_out)
    with_groups: list[PairLikeness] = []
    if weights is not None:
        with_groups = weight_pairs_of(weights, {name: place for place, name in enumerate(names)}, groups=True)
    profiles = profile_pairs(_profiles(inputs, places))
    directions = [pair for sets in inputs.tasks for pair in _of_directions(inputs, sets, places, left_out)]
    count = len(models)
    cosines, by_profile = cosines_of(with_groups, count), correlations_of(profiles, count)
    by_direction = matrix_of(mean_over_layers(directions), count)
    found = ChangeLikeness(
        models=models,
        pairs=[pair.model_copy(update={"groups": []}) for pair in with_groups],
        profiles=profiles,
        directions=directions,
        contrasts=[
            *contrasts_of("weights", cosines, models),
            *contrasts_of("profiles", by_profile, models),
            *contrasts_of("directions", by_direction, models),
        ],
        order=clustered(cosines),
        profile_order=clustered(by_profile),
        direction_order=clustered(by_direction),
        leading=LEADING,
        cautions=[] if weights is None else weights.cautions,
        notes=[] if weights is None else weights.notes,
        left_out=left_out,
    )
    return StudyFound(found, {LIKENESS_TABLE: likeness_table(found, with_groups)})


def _model(run: OpenedSet) -> LikenessModel:
    plan = run.plan
    name = f"{task_title(plan.task)}, {method_title(plan.method)}, seed {plan.seed}"
    return LikenessModel(name=name, task=plan.task, method=plan.method, seed=plan.seed)


def _of_weights(
    final: Sequence[tuple[TaskSets, OpenedSet]], names: Sequence[str], left_out: list[str]
) -> ChangeLikenesses | None:
    """Compares the weights of the models that are on this machine; the others are named in `left_out`."""
    tuned: dict[str, ModelSource] = {}
    results_dir: Path | None = None
    absent: list[str] = []
    for name, (_, run) in zip(names, final, strict=True):
        digest = run.stored.metadata.weights_digest
        folder = {**run.plan.other_weights, **run.plan.weights}.get(digest)
        if folder is None:
            absent.append(name)
            continue
        try:
            source = resolve_model(str(folder / MODEL_FOLDER))
            if source.weights_digest() != digest:
                left_out.append(f"Weights of {name}: the files in {folder} are not those of its representations.")
                continue
        except RepdriftError as error:
            left_out.append(f"Weights of {name}: {error}")
            continue
        tuned[name] = source
        results_dir = folder.parent
    if absent:
        left_out.append(
            f"Weights of {models_apart(absent)}: the trained {'model is' if len(absent) == 1 else 'models are'} not on this machine."
        )
    if len(tuned) < 2 or results_dir is None:
        left_out.append(f"Weights: {len(tuned)} of {len(names)} models can be compared, and likeness is that of two.")
        return None
    base = final[0][0].base
    try:
        extraction = base.metadata.extraction
        found = stored_likenesses(
            base_on_this_machine(base),
            tuned,
            results_dir,
            blocks=extraction.get("blocks"),
            stack=extraction.get("stack"),
        )
    except RepdriftError as error:
        left_out.append(f"Weights: {error}")
        return None
    left_out += [f"Weights of {name}: {reason}" for name, reason in found.missing.items()]
    alike: dict[str, list[str]] = defaultdict(list)
    for name, lines in found.not_compared.items():
        for line in lines:
            alike[line].append(name)
    left_out += [f"Weights of {models_apart(of)}: {line}" for line, of in alike.items()]
    return found


def _profiles(inputs: StudyInputs, places: Mapping[Run, int]) -> dict[int, dict[int, float]]:
    """Drift by layer of every final model; empty for a model whose drift is above noise in no layer."""
    table = residual_rows(inputs.table)
    rows = table[(table["measure"] == inputs.plan.primary_measure) & (table["step"] == 0)]
    found: dict[int, dict[int, float]] = {}
    for (task, method, seed), part in rows.groupby(["task", "method", "seed"], sort=False):
        place = places.get((str(task), str(method), int(seed)))  # pyright: ignore[reportArgumentType]
        if place is None:
            continue
        is_noise = bool(part["above_noise"].eq(False).fillna(False).all())
        found[place] = {} if is_noise else _by_layer(part)
    return found


def _by_layer(part: pd.DataFrame) -> dict[int, float]:
    return {int(layer): float(drift) for layer, drift in zip(part["layer"], part["drift"], strict=True)}


def _of_directions(
    inputs: StudyInputs, sets: TaskSets, places: Mapping[Run, int], left_out: list[str]
) -> list[DirectionPair]:
    """Compares the directions of the final models of one task, layer by layer."""
    found: list[DirectionPair] = []
    try:
        pairs = inputs.shift_pairs.of(sets, settings_of(sets.base), whole=True)
    except RepdriftError as error:
        left_out.append(f"Directions of {task_title(sets.task)}: {error}")
        return found
    at = [places[run.plan.task, run.plan.method, run.plan.seed] for run in pairs.models]
    for layer, of_layer in pairs.layers.items():
        found += records_of_pairs({(at[i], at[j]): alike for (i, j), alike in of_layer.items()}, layer)
    return found


register(StudySection("likeness", 20, (LIKENESS_TABLE,), measure))
