"""Runs single jobs of a study in this process. Models, rows and samples that several jobs need are loaded once."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.results import RESULTS_FILE
from repdrift.drift import analyze
from repdrift.report import visualize
from repdrift.stores import open_set
from repdrift.study.drift_plan import drift_plan
from repdrift.study.evaluation_stage import Evaluation
from repdrift.study.extraction_stage import extract_base, extract_controls, extract_run
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.analysis_stamp import AnalysisStamps
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.runs import ANALYSIS_FOLDER, FIGURES_FOLDER, base_folder, planned_runs
from repdrift.study.saved_models import EVERY_SAVED
from repdrift.study.shared_passes import SharedPasses
from repdrift.study.training_stage import train_run, trained_in_words
from repdrift.study.tuning_stage import tune_arm


class StudyWork:
    """Runs jobs of one study. tasks: those that are analysed."""

    def __init__(self, inputs: StudyInputs, tasks: Sequence[str]) -> None:
        self.inputs = inputs
        self._tasks = list(tasks)
        self._passes = SharedPasses(inputs)
        self._evaluation = Evaluation(inputs)
        self._base_known: set[str] = set()

    def run(self, job: StudyJob, *, wait: bool) -> str | None:  # noqa: PLR0911  one return for each kind
        """Run one job, whose needs are done; what is finished already is kept. Returns what was done, in words.

        Returns None at once if another process is training the run and `wait` is False. Raises what the stage of the job raises.
        """
        config = self.inputs.config
        match job.kind:
            case "tune":
                choice = tune_arm(self.inputs, job.task or "", job.method or "")
                return f"learning rate {choice.learning_rate:g}"
            case "train":
                done = train_run(self.inputs, job.run, wait=wait)
                return None if done is None else trained_in_words(done)
            case "base":
                self._base_known.add(job.task or "")
                return "; ".join(made.words for made in extract_base(self.inputs, job.task or "", self._passes))
            case "extract":
                self._know_base(job.run.task)
                checkpoint = EVERY_SAVED if config.analysis.equal_skill else None
                made = extract_run(self.inputs, job.run, self._passes, checkpoint=checkpoint)
                return "; ".join(each.words for each in made)
            case "control":
                runs = planned_runs(config, tasks=[job.task or ""], methods=[job.method or ""])
                controls = extract_controls(self.inputs, runs)
                return "; ".join(each.words for each in controls) or "no random change is there"
            case "evaluate":
                return "; ".join(each.words for each in self._evaluation.evaluate_run(job.run))
            case "analyze":
                if self._stamps.analysis_changed() is None:
                    return f"already there: {config.results_dir / ANALYSIS_FOLDER}"
                plan = drift_plan(
                    config,
                    self.inputs.config_path or config.name,
                    tasks=self._tasks,
                    samples_of=self.inputs.sample_set,
                    general_text=lambda: self.inputs.general_text,
                )
                analyze(plan, config.results_dir / ANALYSIS_FOLDER)
                self._stamps.stamp_analysis()
                return str(config.results_dir / ANALYSIS_FOLDER)
            case "visualize":
                results = config.results_dir / ANALYSIS_FOLDER / RESULTS_FILE
                if self._stamps.figures_changed() is None:
                    return f"already there: {config.results_dir / FIGURES_FOLDER}"
                files = visualize(results, config.results_dir / FIGURES_FOLDER)
                self._stamps.stamp_figures()
                return str(files.dashboard)

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
