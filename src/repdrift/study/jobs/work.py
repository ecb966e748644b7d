"""Runs single jobs of a study in this process. Models, rows and samples that several jobs need are loaded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.records.results import RESULTS_FILE
from repdrift.core.tuning_words import rate_text
from repdrift.core.words import counted
from repdrift.drift import analyze
from repdrift.report import visualize
from repdrift.stores import open_set
from repdrift.study.drift_plan import drift_plan
from repdrift.study.evaluation_stage import Evaluation
from repdrift.study.extraction_stage import ExtractedSet, extract_base, extract_controls, extract_run
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.analysis_stamp import AnalysisStamps
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.runs import ANALYSIS_FOLDER, FIGURES_FOLDER, base_folder, planned_runs
from repdrift.study.saved_models import EVERY_SAVED
from repdrift.study.shared_passes import SharedPasses
from repdrift.study.training_stage import train_run, trained_in_words
from repdrift.study.tuning_stage import tune_arm


@dataclass(frozen=True)
class WorkDone:
    """The end of a job: what was done, in words, and whether anything was made now or all was there."""

    words: str
    is_new: bool


class StudyWork:
    """Runs jobs of one study. tasks: those that are analysed."""

    def __init__(self, inputs: StudyInputs, tasks: Sequence[str]) -> None:
        self.inputs = inputs
        self._tasks = list(tasks)
        self._passes = SharedPasses(inputs)
        self._evaluation = Evaluation(inputs)
        self._base_known: set[str] = set()

    def run(self, job: StudyJob, *, wait: bool) -> WorkDone | None:  # noqa: PLR0911  one return for each kind
        """Run one job, whose needs are done; what is finished already is kept.

        Returns None at once if another process is training the run and `wait` is False. Raises what the stage of the job raises.
        """
        inputs, task, method = self.inputs, job.task or "", job.method or ""
        match job.kind:
            case "tune":
                before = inputs.choice(task, method)
                choice = tune_arm(inputs, task, method)
                return WorkDone(f"learning rate {rate_text(choice.learning_rate)}", before is None)
            case "train":
                trained = train_run(inputs, job.run, wait=wait)
                return None if trained is None else WorkDone(trained_in_words(trained), trained.trained_now)
            case "base":
                self._base_known.add(task)
                return _of_sets(extract_base(inputs, task, self._passes))
            case "extract":
                self._know_base(task)
                checkpoint = EVERY_SAVED if inputs.config.analysis.equal_skill else None
                return _of_sets(extract_run(inputs, job.run, self._passes, checkpoint=checkpoint))
            case "control":
                return _of_sets(extract_controls(inputs, planned_runs(inputs.config, tasks=[task], methods=[method])))
            case "evaluate":
                done = self._evaluation.evaluate_run(job.run)
                return WorkDone("; ".join(each.words for each in done), any(each.measured_now for each in done))
            case "analyze":
                return self._analyze()
            case "visualize":
                return self._visualize()

    def _analyze(self) -> WorkDone:
        config, inputs = self.inputs.config, self.inputs
        folder = config.results_dir / ANALYSIS_FOLDER
        if self._stamps.analysis_changed() is None:
            return WorkDone(f"already there: {folder}", is_new=False)
        plan = drift_plan(
            config,
            inputs.config_path or config.name,
            tasks=self._tasks,
            samples_of=inputs.sample_set,
            general_text=lambda: inputs.general_text,
        )
        analyze(plan, folder)
        self._stamps.stamp_analysis()
        return WorkDone(str(folder), is_new=True)

    def _visualize(self) -> WorkDone:
        config = self.inputs.config
        folder = config.results_dir / FIGURES_FOLDER
        if self._stamps.figures_changed() is None:
            return WorkDone(f"already there: {folder}", is_new=False)
        files = visualize(config.results_dir / ANALYSIS_FOLDER / RESULTS_FILE, folder)
        self._stamps.stamp_figures()
        return WorkDone(str(files.dashboard), is_new=True)

    @property
    def _stamps(self) -> AnalysisStamps:
        config = self.inputs.config
        return AnalysisStamps(config, self._tasks, self.inputs.config_path or config.name)

    def _know_base(self, task: str) -> None:
        """Tells the passes that outputs share in which batches the base model was run, where another process ran it."""
        if task not in self._base_known:
            self._base_known.add(task)
            metadata = open_set(base_folder(self.inputs.config, task)).metadata
            self._passes.base_was_extracted(task, metadata, extracted_now=False)


def _of_sets(made: Sequence[ExtractedSet]) -> WorkDone:
    """Says how many sets were made and how many were there, and the folder above all of them."""
    if not made:
        return WorkDone("no set is wanted, or none can be made", is_new=False)
    new = sum(each.extracted_now for each in made)
    there = len(made) - new
    parts = [f"{counted(new, 'set')} extracted"] * (new > 0) + [f"{there} already there"] * (there > 0)
    return WorkDone(f"{', '.join(parts)} ({made[0].folder.parent})", new > 0)
