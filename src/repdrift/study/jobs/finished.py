"""Reads off the outputs of jobs which ones are done: names, sizes and records of files. Neither weights nor data are loaded."""

from __future__ import annotations

from pathlib import Path

from repdrift.core.errors import RepdriftError
from repdrift.core.reading import stands_there
from repdrift.core.records.results import RESULTS_FILE
from repdrift.stores import open_set
from repdrift.study.config import StudyConfig
from repdrift.study.jobs.graph import JobGraph, StudyJob
from repdrift.study.runs import ANALYSIS_FOLDER, base_folder, identity_folder
from repdrift.study.status import RunProgress, study_status
from repdrift.study.tuned_rates import latest_choice


class FinishedJobs:
    """Tells which jobs of a study are done, by the outputs that are there now; a new look needs a new object."""

    def __init__(self, config: StudyConfig, config_path: str | None, graph: JobGraph) -> None:
        self._config, self._graph = config, graph
        self._progress: dict[object, RunProgress] = {p.run: p for p in study_status(config, config_path)}

    def is_done(self, job: StudyJob) -> bool:  # noqa: PLR0911  one return for each kind
        """True if the outputs of a job are all there, and of the study's settings."""
        match job.kind:
            case "tune":
                return latest_choice(self._config, job.task or "", job.method or "", None) is not None
            case "train":
                return self._progress[job.run].trained
            case "base":
                task = job.task or ""
                return all(_opens(at) for at in (base_folder(self._config, task), identity_folder(self._config, task)))
            case "extract":
                return self._progress[job.run].representations == "finished"
            case "control":
                return True  # its reason may be that none can be made
            case "evaluate":
                return self._progress[job.run].outcomes == "finished"
            case _:
                return stands_there(self._config.results_dir / ANALYSIS_FOLDER / RESULTS_FILE)


def _opens(folder: Path) -> bool:
    try:
        open_set(folder)
    except RepdriftError:
        return False
    return True
