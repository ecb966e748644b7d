"""The random changes of a study, controls as large as training's change: which runs get one, and how each is extracted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from repdrift.core.errors import ModelError, NonFiniteError, RepdriftError
from repdrift.core.process_group import world
from repdrift.core.progress import say
from repdrift.core.records.representation_set import RANDOM_CHANGE_METHOD, SetMetadata
from repdrift.extraction import ExtractionJob, ExtractionOptions, MatchedChange, extract_set
from repdrift.models import ModelSource
from repdrift.stores import discard_set, open_set
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId, random_change_folder
from repdrift.tasks import SampleSet


def random_change_count(config: StudyConfig, runs: Sequence[RunId]) -> int:
    """The number of random changes that these planned runs get, if all can be made: one each, one for each task and method, or none."""
    choice = config.extraction.random_change
    if choice == "none":
        return 0
    return len(runs) if choice == "all" else len({(run.task, run.method) for run in runs})


def runs_to_match(config: StudyConfig, final: Mapping[RunId, SetMetadata]) -> list[RunId]:
    """The runs that get a random change of their size. final: the set of each run's final model.

    The option `random_change: first` takes one run of each task and method: the one with the study's earliest seed among
    those whose set says how far the weights moved. If no set says so, the earliest seed is taken, and extraction says why
    its control is missing. No run is taken if the random change of an earlier seed is on the disk already.
    """
    choice = config.extraction.random_change
    if choice == "none":
        return []
    if choice == "all":
        return list(final)
    order = {seed: position for position, seed in enumerate(config.seeds)}
    by_method: dict[tuple[str, str], list[RunId]] = {}
    for run in sorted(final, key=lambda run: order[run.seed]):
        by_method.setdefault((run.task, run.method), []).append(run)
    wanted: list[RunId] = []
    for (task, method), runs in by_method.items():
        first = next((run for run in runs if _knows_change(final[run])), runs[0])
        earlier = [RunId(task, method, seed) for seed in config.seeds[: order[first.seed]]]
        if not any(_is_finished(random_change_folder(config, run)) for run in earlier if run not in final):
            wanted.append(first)
    return wanted


def extract_random_change(
    base: ModelSource, samples: SampleSet, options: ExtractionOptions, run: SetMetadata, folder: Path
) -> tuple[SetMetadata, bool]:
    """Extract the base model, moved at random as far as training moved the model of `run`, into `folder`.

    Returns the metadata, and whether the set was extracted now.
    Raises ModelError if it is not known how far the weights moved, if the base model has another shape, or if its precision
    is too coarse for the noise; NonFiniteError if the moved model gives NaN. A set in `folder` is then a control of some
    other change, and is removed first.
    """
    try:
        return extract_set(random_change_job(base, samples, options, run), folder)
    except (ModelError, NonFiniteError):
        if world().is_first and discard_set(folder):
            say(f"{folder}: what lay there is not that control, removed")
        world().barrier()
        raise


def random_change_job(
    base: ModelSource, samples: SampleSet, options: ExtractionOptions, run: SetMetadata
) -> ExtractionJob:
    """Returns the extraction of a random change as large as training's change of the model of `run`. Raises ModelError if that is not known."""
    return ExtractionJob(
        run.task,
        RANDOM_CHANGE_METHOD,
        run.seed,
        run.step,
        base,
        samples,
        options,
        random_change=MatchedChange.of(run),
        sinks=run.sinks,
    )


def _knows_change(run: SetMetadata) -> bool:
    try:
        MatchedChange.of(run)
    except ModelError:
        return False
    return True


def _is_finished(folder: Path) -> bool:
    try:
        open_set(folder)
    except RepdriftError:
        return False
    return True
