"""The section on directions in a study: of every run's final model, and how alike the shifts of the seeds of a method are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from repdrift.core.errors import DegenerateInputError, RepdriftError, ShapeError
from repdrift.core.progress import say
from repdrift.core.records.directions import (
    DIRECTION_LIKENESS_TABLE,
    DIRECTION_TOKENS_TABLE,
    DIRECTIONS_TABLE,
    RunDirections,
    ShiftLikenessRecord,
    StudyDirections,
)
from repdrift.core.words import method_title, task_title
from repdrift.drift.directions.measuring import DirectionSettings, model_directions
from repdrift.drift.directions.random_change import RandomRows
from repdrift.drift.directions.shift_pairs import TaskPairs
from repdrift.drift.directions.tables import direction_rows, table_of, token_rows
from repdrift.drift.directions.token_reading import TokenReadings
from repdrift.drift.directions.unembedding import Unembedding
from repdrift.drift.task_sets import OpenedSet, TaskSets, read_layer
from repdrift.drift.what_moved import StudyFound, StudyInputs, StudySection, register
from repdrift.models import load_tokenizer, model_on_this_machine
from repdrift.similarity.directions.likeness import ShiftLikeness
from repdrift.stores import RepresentationSet


class StoredRows(Mapping[int, Tensor]):
    """The rows of a set by layer, each read when it is asked for, so that one layer at a time is in memory."""

    def __init__(self, stored: RepresentationSet) -> None:
        self._stored = stored

    def __getitem__(self, layer: int) -> Tensor:
        return read_layer(self._stored, layer)

    def __contains__(self, layer: object) -> bool:
        return layer in self._stored.layers

    def __iter__(self) -> Iterator[int]:
        return iter(self._stored.layers)

    def __len__(self) -> int:
        return len(self._stored.layers)


def measure(inputs: StudyInputs) -> StudyFound:
    """Measures the final model of every run, task by task. Raises DegenerateInputError if there is no final model."""
    runs: list[RunDirections] = []
    likeness: list[ShiftLikenessRecord] = []
    left_out: list[str] = []
    tokens: TokenReadings | str | None = None
    for sets in inputs.tasks:
        final = [run for run in sets.runs if run.plan.step == 0]
        if not final:
            left_out.append(f"{task_title(sets.task)}: no final model has representations.")
            continue
        if tokens is None:
            tokens = token_readings(sets.base)
        settings = settings_of(sets.base)
        for run in final:
            say(f"directions: {sets.task}, {run.plan.method}, seed {run.plan.seed}")
            try:
                found = model_directions(
                    StoredRows(sets.base),
                    StoredRows(run.stored),
                    settings,
                    random_change=_random_change(sets, run),
                    tokens=tokens,
                )
            except (DegenerateInputError, ShapeError) as error:
                left_out.append(f"{_named(run)}: {error}.")
                continue
            runs.append(RunDirections(task=run.plan.task, method=run.plan.method, seed=run.plan.seed, found=found))
        likeness += seed_likeness(inputs.shift_pairs.of(sets, settings, whole=False))
    if not runs:
        raise DegenerateInputError(" ".join(left_out) or "no run has a final model with representations")
    tables = {DIRECTIONS_TABLE: table_of([row for run in runs for row in direction_rows(_keys(run), run.found)])}
    if read := [row for run in runs for row in token_rows(_keys(run), run.found)]:
        tables[DIRECTION_TOKENS_TABLE] = table_of(read)
    if likeness:
        tables[DIRECTION_LIKENESS_TABLE] = table_of([of.model_dump() for of in likeness])
    return StudyFound(StudyDirections(runs=runs, likeness=likeness, left_out=left_out), tables)


def seed_likeness(pairs: TaskPairs) -> list[ShiftLikenessRecord]:
    """Returns the likeness of the shifts of every two seeds of a method, layer by layer: do they move all samples in the same direction?"""
    return [
        ShiftLikenessRecord(
            task=first.task,
            method=first.method,
            seed=first.seed,
            other_seed=second.seed,
            layer=layer,
            **_values(alike),  # pyright: ignore[reportArgumentType]
        )
        for layer, of_layer in pairs.layers.items()
        for method in dict.fromkeys(run.plan.method for run in pairs.models)
        for (i, j), alike in of_layer.items()
        if (first := pairs.models[i].plan).method == (second := pairs.models[j].plan).method == method
    ]


def _values(found: ShiftLikeness | str) -> dict[str, float | str | None]:
    if isinstance(found, str):
        return {"cosine": None, "missing": found}
    low, high = (None, None) if found.interval is None else found.interval
    return {
        "cosine": found.cosine,
        "unbiased_cosine": found.unbiased,
        "low": low,
        "high": high,
        "chance": found.chance,
        "missing": None if found.unbiased is not None else "one of the two shifts is no larger than noise",
    }


def settings_of(base: RepresentationSet) -> DirectionSettings:
    """The groups of a set's rows: those that its samples have, and for tokens at least the sample of each."""
    metadata = base.metadata
    groups, unit = metadata.sample_groups, metadata.sample_group_unit
    if metadata.pooling == "tokens" and metadata.tokens_per_sample is not None:
        of_samples = groups if groups is not None else metadata.sample_ids
        unit = unit if groups is not None else "sample"
        groups = [g for g, count in zip(of_samples, metadata.tokens_per_sample, strict=True) for _ in range(count)]
    return DirectionSettings(groups, unit)


def token_readings(base: RepresentationSet) -> TokenReadings | str:
    """Reads tokens with the head in the base model's files, which is loaded once; the reason why not, if there is none."""
    metadata = base.metadata
    try:
        source = model_on_this_machine(metadata.model, revision=metadata.model_revision)
        if source is None:
            return f"the base model {metadata.model!r} is not on this machine, and nothing is downloaded for this"
        if source.weights_digest() != metadata.weights_digest:
            return f"the files of {metadata.model!r} on this machine are not those that the representations were extracted with"
        return TokenReadings(
            Unembedding.of(source, dtype=metadata.compute_dtype, blocks=metadata.extraction.get("blocks")),
            load_tokenizer(source),
        )
    except RepdriftError as error:
        return str(error)


def _random_change(sets: TaskSets, run: OpenedSet) -> RandomRows | None:
    """The rows of the random change that is as large as this run's change."""
    for control in sets.random_changes:
        if (control.plan.method, control.plan.seed, control.plan.step) == (run.plan.method, run.plan.seed, 0):
            return RandomRows(StoredRows(control.stored))
    return None


def _keys(run: RunDirections) -> dict[str, str | int]:
    return {"task": run.task, "method": run.method, "seed": run.seed}


def _named(run: OpenedSet) -> str:
    return f"{task_title(run.plan.task)}, {method_title(run.plan.method)}, seed {run.plan.seed}"


register(StudySection("directions", 40, (DIRECTIONS_TABLE, DIRECTION_TOKENS_TABLE, DIRECTION_LIKENESS_TABLE), measure))
