"""The random changes of a study: which runs get one, and each as a set beside the run's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from repdrift.core.errors import ModelError, NonFiniteError, RepdriftError
from repdrift.core.progress import say
from repdrift.core.records.representation_set import RANDOM_CHANGE_METHOD, SetMetadata
from repdrift.core.records.run import Method
from repdrift.extraction import ExtractionJob, ExtractionOptions, MatchedChange, extract_set
from repdrift.extraction.distributed import world
from repdrift.models import ModelSource
from repdrift.stores import discard_set, open_set
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId, random_change_folder
from repdrift.tasks import SampleSet


def runs_to_match(config: StudyConfig, final: Mapping[RunId, SetMetadata]) -> list[RunId]:
    """Which of the runs in `final` (the sets of their final models) get a random change of their size.

    With `first`: for each task and method the run of the study's first seed among them that tells how far its weights moved
    (where none does, the first: it is then said why). None where an earlier seed's random change is on the disk already.
    """
    choice = config.extraction.random_change
    if choice == "none":
        return []
    if choice == "all":
        return list(final)
    order = {seed: place for place, seed in enumerate(config.seeds)}
    by_method: dict[tuple[str, Method], list[RunId]] = {}
    for run in sorted(final, key=lambda run: order[run.seed]):
        by_method.setdefault((run.task, run.method), []).append(run)
    wanted: list[RunId] = []
    for (task, method), runs in by_method.items():
        first = next((run for run in runs if _tells(final[run])), runs[0])
        earlier = [RunId(task, method, seed) for seed in config.seeds[: order[first.seed]]]
        if not any(_is_finished(random_change_folder(config, run)) for run in earlier if run not in final):
            wanted.append(first)
    return wanted


def extract_random_change(
    base: ModelSource, samples: SampleSet, options: ExtractionOptions, run: SetMetadata, folder: Path
) -> tuple[SetMetadata, bool] | str:
    """Extract the base model, moved at random as far as training moved the model of `run`, into `folder`.

    Returns what `extract_set` does; or, in words, why there can be no such control: how far the weights moved is not
    known, the base model is of another shape or its precision too coarse, or it gives NaN once moved. A set that
    lies in `folder` is then of some other change, and is removed.
    """
    try:
        job = ExtractionJob(
            run.task,
            RANDOM_CHANGE_METHOD,
            run.seed,
            run.step,
            base,
            samples,
            options,
            random_change=MatchedChange.of(run),
        )
        return extract_set(job, folder)
    except (ModelError, NonFiniteError) as error:
        if world().is_first and discard_set(folder):
            say(f"{folder}: what lay there is not that control, removed")
        world().barrier()
        return str(error)


def _tells(run: SetMetadata) -> bool:
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
