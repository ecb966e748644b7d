"""Forward passes that extraction and outcomes share: outputs on the task's inputs are read while the models are extracted."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from repdrift.batches.state_watcher import StateWatcher
from repdrift.core.errors import RepdriftError
from repdrift.core.process_group import device
from repdrift.core.reading import stands_there
from repdrift.core.records.outcomes import RunOutcomes
from repdrift.core.records.representation_set import SetMetadata
from repdrift.models import ModelSource
from repdrift.models.language_model import load_language_model
from repdrift.models.output_head import OutputHead
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.outcome_files import record_path
from repdrift.outcomes.outputs_in_passing import BaseInPassing, TunedInPassing
from repdrift.outcomes.token_outcome import outcomes_on_task
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import RunId, base_states_folder, outcomes_folder, passed_folder
from repdrift.training import FinishedRun

_OUTPUTS = "outputs"
"""The kind of outcome that is read in passing."""


class SharedPasses:
    """Watchers for the extractions of a study whose outputs are measured next; none where the two need other passes.

    They do so for a decoder half, another number format, or if the study measures no outputs.
    """

    def __init__(self, inputs: StudyInputs) -> None:
        self._inputs = inputs
        self._bases: dict[str, BaseInPassing] = {}
        given = inputs.config.chosen_outcomes().get(_OUTPUTS)
        extraction = inputs.config.extraction
        options = None if given is None else OutputOptions.model_validate(given)
        fits = extraction.stack != "decoder" and options is not None
        self._options = options if fits and options and options.compute_dtype == extraction.compute_dtype else None

    def of_base(self, task: str) -> BaseInPassing | None:
        """The watcher of the base model's extraction for a task; None: its outputs are not read in passing."""
        if self._options is None:
            return None
        if task not in self._bases:
            inputs = self._inputs
            self._bases[task] = BaseInPassing(
                inputs.base,
                inputs.sample_set(task),
                self._options,
                base_states_folder(inputs.config),
                lambda: self._head,
            )
        return self._bases[task]

    def base_was_extracted(self, task: str, metadata: SetMetadata, extracted_now: bool) -> None:
        """Tells that the base model's set of a task is there; where it was there before, in which batches its samples were run."""
        base, budget = self.of_base(task), metadata.extraction.get("token_budget")
        if base is not None and not extracted_now and isinstance(budget, int):
            base.extracted_in = budget

    def of_run(self, run: RunId, trained: FinishedRun, tuned: ModelSource, step: int) -> StateWatcher | None:
        """The watcher of a trained model's extraction; None if its outputs are not to be measured, or were measured before."""
        base = self.of_base(run.task)
        folder = outcomes_folder(self._inputs.config, run, step)
        if base is None or (step and not folder.is_dir()) or self._measured(folder, tuned, base):
            return None
        at = passed_folder(self._inputs.config, run, step)
        texts = self._inputs.config.analysis.sample_texts and step == 0
        return TunedInPassing(base, tuned, trained.record.task_kind, outcomes_on_task(), at, keeps_texts=texts)

    def _measured(self, folder: Path, tuned: ModelSource, base: BaseInPassing) -> bool:
        path = record_path(folder, _OUTPUTS)
        if not stands_there(path):
            return False
        try:
            record = RunOutcomes.read(path)
        except RepdriftError:
            return False
        return (record.weights_digest, record.base_weights_digest, record.sample_set_fingerprint) == (
            tuned.weights_digest(),
            base.base.weights_digest(),
            base.samples.fingerprint,
        )

    @cached_property
    def _head(self) -> OutputHead:
        dtype = self._inputs.config.extraction.compute_dtype
        return load_language_model(self._inputs.base, dtype=dtype).head.to(device())
