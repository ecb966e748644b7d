"""Looks at the outputs of jobs as `repdrift status` does: by names, sizes and records alone. Neither weights nor rows of data are read.

So it is quick on any machine, and less exact than what a job itself finds: a changed data file, or a `max_length`, is seen by the job alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from repdrift.core.errors import MissingRunError, RepdriftError, UnfinishedSetError
from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.run import RunRecord
from repdrift.extraction.options import ExtractionOptions
from repdrift.stores import open_set
from repdrift.study.base_settings import base_settings_of
from repdrift.study.config import StudyConfig
from repdrift.study.jobs.analysis_stamp import AnalysisStamps
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.runs import RunId, base_folder, identity_folder, random_change_folder, set_folder
from repdrift.study.status import RunProgress
from repdrift.study.tuned_rates import latest_choice
from repdrift.training import finished_runs

Look = Literal["done", "stale", "missing"]


@dataclass(frozen=True)
class Looked:
    """A job's outputs. why: what is stale, in words; None else."""

    look: Look
    why: str | None = None


_MISSING = Looked("missing")
_DONE = Looked("done")


class OutputLook:
    """Looks at the outputs of a study's jobs. progress: of its runs."""

    def __init__(self, config: StudyConfig, progress: list[RunProgress], stamps: AnalysisStamps) -> None:
        self._config, self._stamps = config, stamps
        self._runs: dict[RunId, RunProgress] = {p.run: p for p in progress}
        there = list(finished_runs(config.results_dir)) if config.results_dir.is_dir() else []
        self._records = [found.record for found in there]
        self._base_settings = base_settings_of(config)

    def of(self, job: StudyJob) -> Looked:  # noqa: PLR0911  one return for each kind
        """Looks at the outputs of one job."""
        match job.kind:
            case "tune":
                choice = latest_choice(self._config, job.task or "", job.method or "", self._base_settings)
                return _MISSING if choice is None else _DONE
            case "train":
                return self._train(job.run)
            case "base":
                folders = (base_folder(self._config, job.task or ""), identity_folder(self._config, job.task or ""))
                return _worst([self._set(folder) for folder in folders])
            case "extract":
                return self._extract(job.run)
            case "control":
                return self._control(job)
            case "evaluate":
                return self._evaluate(job.run)
            case "analyze":
                return self._output(self._stamps.analysis_changed(tables=False))
            case "visualize":
                return self._output(self._stamps.figures_changed())

    def _train(self, run: RunId) -> Looked:
        if self._runs[run].trained:
            return _DONE
        same = [r for r in self._records if (r.task, r.method, r.seed) == (run.task, run.method, run.seed)]
        return Looked("stale", self._why_not(same[-1], run)) if same else _MISSING

    def _why_not(self, record: RunRecord, run: RunId) -> str:
        """Says why a run of this task, method and seed is not the one that the study means now."""
        choice = latest_choice(self._config, run.task, run.method, self._base_settings)
        if self._config.tune is not None and choice is None:
            return "the learning rate is not chosen yet"
        wanted = self._config.hyperparameters(
            run.task, run.method, choice.learning_rate if choice is not None else None
        )
        differ = [f"{n} {record.hyperparameters.get(n)!r} -> {wanted.get(n)!r}" for n in record.other_settings(wanted)]
        return f"trained with other settings: {', '.join(differ[:3])}" if differ else "trained from another base model"

    def _extract(self, run: RunId) -> Looked:
        progress = self._runs[run]
        if not progress.trained:
            return (
                _MISSING
                if progress.representations == "missing"
                else Looked("stale", "its model is not trained as the study says now")
            )
        if progress.representations == "damaged":
            return Looked("stale", "made from another model, or damaged: see the faults")
        steps = [0]
        if self._config.analysis.equal_skill and progress.record is not None:
            steps += progress.record.checkpoints
        return _worst([self._set(set_folder(self._config, run, step)) for step in steps])

    def _control(self, job: StudyJob) -> Looked:
        runs = [RunId(job.task or "", job.method or "", seed) for seed in self._config.seeds]
        looked = [self._set(random_change_folder(self._config, run)) for run in runs if run in self._runs]
        if self._config.extraction.random_change == "all":
            return _worst(looked)
        return next((each for each in looked if each.look != "missing"), _MISSING)

    def _evaluate(self, run: RunId) -> Looked:
        progress = self._runs[run]
        if progress.outcomes == "outdated":
            return Looked("stale", "measured of other weights, options or general text")
        if progress.outcomes == "damaged":
            return Looked("stale", "damaged: see the faults")
        if progress.outcomes == "finished" and not progress.trained:
            return Looked("stale", "its model is not trained as the study says now")
        return _DONE if progress.outcomes == "finished" else _MISSING

    def _set(self, folder: Path) -> Looked:
        try:
            stored = open_set(folder).metadata
        except (MissingRunError, UnfinishedSetError):
            return _MISSING
        except RepdriftError:
            return Looked("stale", "damaged: see the faults")
        changed = changed_settings(stored, self._config.extraction)
        return Looked("stale", f"extracted with other settings: {', '.join(changed)}") if changed else _DONE

    def _output(self, why: str | None) -> Looked:
        if why is None:
            return _DONE
        return _MISSING if why.endswith("is not there") else Looked("stale", why)


def changed_settings(stored: SetMetadata, options: ExtractionOptions) -> list[str]:
    """Returns the settings of extraction in which a set differs from the study, as far as its metadata tells them."""
    found: list[str] = []
    wanted: dict[str, object] = {
        "pool_over": options.pool_over,
        "dtype": options.dtype,
        "compute_dtype": options.compute_dtype,
        "payload": options.payload,
    }
    if options.pooling != "auto":
        wanted["pooling"] = "first" if options.pooling == "cls" else options.pooling
    if options.layers is not None:
        wanted["layers"] = list(options.layers)
    for name, value in wanted.items():
        if (now := getattr(stored, name)) != value:
            found.append(f"{name} {now} -> {value}")
    samples = options.samples or 0
    if 0 < samples < len(stored.sample_ids):
        found.append(f"samples {len(stored.sample_ids)} -> {samples}")
    absent = [site for site in options.sites if site not in stored.sites and site not in stored.sites_left_out]
    return found + ([f"sites {', '.join(absent)} are not in it"] if absent else [])


def _worst(looked: list[Looked]) -> Looked:
    """Joins the outputs of one job: stale if one is, missing if one is, else done."""
    for look in ("stale", "missing"):
        for each in looked:
            if each.look == look:
                return each
    return _DONE
