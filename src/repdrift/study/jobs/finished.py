"""Tells which jobs are done by the keys of their outputs: exactly what a job would find there, without running it."""

from __future__ import annotations

from repdrift.core.errors import MissingRunError, ModelError, RepdriftError
from repdrift.study.evaluation_stage import run_is_evaluated
from repdrift.study.extraction_stage import base_is_extracted, controls_are_extracted, run_is_extracted
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.analysis_stamp import AnalysisStamps
from repdrift.study.jobs.graph import JobGraph, StudyJob
from repdrift.study.jobs.job_state import read_state
from repdrift.study.jobs.plan_file import StudyPlan, jobs_folder
from repdrift.study.runs import planned_runs
from repdrift.study.saved_models import EVERY_SAVED
from repdrift.study.training_stage import find_run
from repdrift.training import require_whole


class FinishedJobs:
    """The finished jobs of a study, by its outputs. Weights are known by the records of their runs; sizes of files are looked at."""

    def __init__(self, inputs: StudyInputs, plan: StudyPlan) -> None:
        self._inputs, self._plan = inputs, plan

    def all_of(self, graph: JobGraph) -> set[str]:
        """Returns the names of the jobs that need not be run: they are done, and so is all that they need, which would else change under them."""
        done: set[str] = set()
        with self._inputs.one_look():
            for job in graph:
                if done.issuperset(graph.needs[job.name]) and self.is_done(job):
                    done.add(job.name)
        return done

    def missing_for(self, graph: JobGraph, job: StudyJob) -> list[str]:
        """Returns the names of the jobs that a job needs and that are not done."""
        with self._inputs.one_look():
            return [name for name in graph.needs[job.name] if not self.is_done(graph.job(name))]

    def is_done(self, job: StudyJob) -> bool:
        """True if all outputs of a job are there, with the keys that the study asks for now."""
        try:
            return self._is_done(job)
        except RepdriftError:
            return False

    def _is_done(self, job: StudyJob) -> bool:  # noqa: PLR0911  one return for each kind
        inputs, task, method = self._inputs, job.task or "", job.method or ""
        checkpoint = EVERY_SAVED if inputs.config.analysis.equal_skill else None
        match job.kind:
            case "tune":
                return inputs.choice(task, method) is not None
            case "train":
                return self._is_trained(job)
            case "base":
                return base_is_extracted(inputs, task)
            case "extract":
                return run_is_extracted(inputs, job.run, checkpoint=checkpoint)
            case "control":
                runs = planned_runs(inputs.config, tasks=[task], methods=[method])
                return controls_are_extracted(inputs, runs) or self.ended_as_done(job)
            case "evaluate":
                return run_is_evaluated(inputs, job.run)
            case "analyze":
                return self.stamps.analysis_changed() is None
            case "visualize":
                return self.stamps.figures_changed() is None

    @property
    def stamps(self) -> AnalysisStamps:
        """The stamps of the study's analysis and figures."""
        return AnalysisStamps(
            self._inputs.config, self._plan.tasks, self._inputs.config_path or self._inputs.config.name
        )

    def _is_trained(self, job: StudyJob) -> bool:
        try:
            require_whole(find_run(self._inputs, job.run))
        except (MissingRunError, ModelError):
            return False
        return True

    def ended_as_done(self, job: StudyJob) -> bool:
        """True if the state of a job says that it is done under this plan.

        Of a job that ended without an output, as the random change of a model whose weights cannot be moved does, its state alone tells.
        """
        state = read_state(jobs_folder(self._inputs.config), job)
        return state is not None and (state.outcome, state.plan) == ("done", self._plan.digest)
