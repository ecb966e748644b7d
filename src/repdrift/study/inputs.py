"""The inputs that the runs of a study share: the base model's files, the data, and the fixed sample sets."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torch import nn

from repdrift.core.errors import DataError, MissingRunError
from repdrift.core.progress import say
from repdrift.core.quoted_examples import without_examples
from repdrift.core.records.tuning import TUNING_FOLDER, TuningRecord
from repdrift.extraction.layer_sites import sites_of_base
from repdrift.models import (
    ModelSource,
    backbone_skeleton,
    changed_files,
    length_limit_of_config,
    load_config,
    load_tokenizer,
    resolve_model,
    settings_digests,
    tokenizer_digests,
)
from repdrift.models.sites.taps import ChosenSites
from repdrift.study.config import StudyConfig
from repdrift.study.given_study import config_words
from repdrift.study.runs import RunId
from repdrift.study.status import Journal
from repdrift.study.study_stores import StudyStores
from repdrift.study.tuned_rates import choices_of
from repdrift.tasks import (
    Rows,
    SampleSet,
    build_sample_set,
    document_samples,
    effective_max_length,
    load_rows,
    read_documents,
    rows_in_use,
)
from repdrift.tasks.spec import Split
from repdrift.training import FinishedRun, TrainingJob, finished_runs


@dataclass
class StudyInputs:
    """Base model, data and sample sets of a study. Each is loaded once, when it is first needed.

    config_path: what the user gave as --config, for the commands in messages.
    """

    config: StudyConfig
    config_path: str | None = None
    _rows: dict[tuple[str, Split], Rows] = field(default_factory=dict, init=False)
    _samples: dict[str, SampleSet] = field(default_factory=dict, init=False)
    _look: list[FinishedRun] | None = field(default=None, init=False)
    _training_fingerprints: dict[tuple[str, int | None], str | None] = field(default_factory=dict, init=False)

    def finished_runs(self) -> list[FinishedRun]:
        """The finished runs in the study's results folder as they are now; within `one_look`, as they were when it began."""
        return list(finished_runs(self.config.results_dir)) if self._look is None else self._look

    @contextmanager
    def one_look(self) -> Generator[None]:
        """Looks at the results folder once for all questions about finished runs inside the block.

        It is for questions that are asked of many runs at a time. What other processes finish or replace meanwhile is seen by the next look.
        """
        before, self._look = self._look, self.finished_runs()
        try:
            yield
        finally:
            self._look = before

    @property
    def journal(self) -> Journal:
        """The journal in the study's results folder."""
        return Journal(self.config.results_dir)

    @cached_property
    def stores(self) -> StudyStores:
        """The stores that the study reads from and sends to."""
        return StudyStores(self.config.stores, self.config.results_dir)

    @cached_property
    def base(self) -> ModelSource:
        """The base model's files."""
        source = resolve_model(self.config.model, revision=self.config.revision, prefer="model")
        if source.choice:
            say(f"note: base model {source.ref}: {source.choice}")
        return source

    @cached_property
    def model_config(self) -> Any:
        """The base model's configuration."""
        return load_config(self.base)

    @cached_property
    def skeleton(self) -> nn.Module | None:
        """The base model without head and weights; None if it cannot be built so. Nobody may change it."""
        return backbone_skeleton(self.model_config)

    @cached_property
    def base_sites(self) -> ChosenSites | None:
        """Returns where the base model has the sites of the extraction; None if none but the residual stream is asked for, or it is not known yet.

        Raises ModelError if one cannot be found.
        """
        return sites_of_base(self.base, self.config.extraction)

    @cached_property
    def base_settings(self) -> dict[str, str]:
        """SHA-256 of the base model's configuration and of its tokenizer's files, by name."""
        return {**settings_digests(self.base), **tokenizer_digests(self.base)}

    def rows(self, task: str, split: Split) -> Rows:
        """The rows of a task's data file."""
        if (task, split) not in self._rows:
            spec = self.config.spec(task)
            read = load_rows(spec, split, data_dir=self.config.data_dir, labelled=spec.label_column is not None)
            rows = replace(read, notes=self._shown(read.notes))
            say(f"{task}, {split}: {' '.join(rows.notes)}")
            self._rows[task, split] = rows
        return self._rows[task, split]

    def choice(self, task: str, method: str) -> TuningRecord | None:
        """The choice of a learning rate that is on the disk for this task and arm; None if there is none, or the study is not tuned.

        Choices on other rows than those that training would take now do not count.
        """
        if self.config.tune is None:
            return None
        rows_now = self.training_fingerprint(task, method)
        found = [
            choice
            for choice in choices_of(self.config, task, method)
            if choice.base_digest == self.base.weights_digest()
            and not changed_files(choice.base_settings, self.base_settings)
            and rows_now in (None, choice.data_fingerprint)
        ]
        return max(found, key=lambda choice: choice.created, default=None)

    def learning_rate(self, task: str, method: str) -> float | None:
        """The rate that tuning chose; None if the study is not tuned. Raises MissingRunError if the choice was not made."""
        if self.config.tune is None:
            return None
        choice = self.choice(task, method)
        if choice is None:
            command = ["repdrift", "tune", *config_words(self.config_path), "--task", task, "--method", method]
            raise MissingRunError(
                f"the learning rate of {method} on {task} is to be tuned, and in {self.config.results_dir / TUNING_FOLDER}/ is no choice for "
                "these settings, rows and base model. Make it with:\n"
                f"    {shlex.join(command)}"
            )
        return choice.learning_rate

    def hyperparameters(self, task: str, method: str) -> dict[str, Any]:
        """The settings by which a run is found, with the rate that was chosen. Raises MissingRunError if none was chosen yet."""
        return self.config.hyperparameters(task, method, self.learning_rate(task, method))

    def training_job(self, run: RunId) -> TrainingJob:
        """Everything that determines one run. Raises DataError if its rows cannot be read, MissingRunError if no rate was chosen."""
        return self._job(run, self.learning_rate(run.task, run.method))

    def job_before_tuning(self, run: RunId) -> TrainingJob:
        """The job of a run with the rate that was chosen; if none was, with the file's, which no run may take."""
        choice = self.choice(run.task, run.method)
        return self._job(run, choice.learning_rate if choice is not None else None)

    def _job(self, run: RunId, learning_rate: float | None) -> TrainingJob:
        return TrainingJob(
            spec=self.config.spec(run.task),
            arm=self.config.arm(run.task, run.method),
            seed=run.seed,
            base=self.base,
            options=self.config.training_options(run.task, run.method, learning_rate),
            train=self.rows(run.task, "train"),
            validation=self.rows(run.task, "validation"),
            quotes_rows=self.config.analysis.sample_texts,
        )

    def training_fingerprint(self, task: str, method: str) -> str | None:
        """The fingerprint of the rows that a run would train on now; None if they are not on this machine.

        The hub is not asked, since extraction may run where there is no training data.
        """
        limit = self.config.training_options(task, method).max_train_samples
        if (task, limit) not in self._training_fingerprints:
            spec = replace(self.config.spec(task), hub=None)
            try:
                rows = self._rows.get((task, "train")) or load_rows(spec, "train", data_dir=self.config.data_dir)
                found = rows_in_use(spec, rows, limit).fingerprint
            except DataError:
                found = None
            self._training_fingerprints[task, limit] = found
        return self._training_fingerprints[task, limit]

    def sample_set(self, task: str) -> SampleSet:
        """The fixed sample set of a task, as tokens. Raises DataError if one cannot be made, or lacks what `pool_over` takes."""
        if task not in self._samples:
            options = self.config.extraction
            tokenizer = load_tokenizer(self.base)
            requested = options.max_length or self.config.training_options(task, self.config.method_names[0]).max_length
            limit = length_limit_of_config(self.model_config, options.stack)
            max_length = effective_max_length(tokenizer, limit, requested)
            rows = self.rows(task, "validation")
            samples = build_sample_set(
                self.config.spec(task),
                rows.rows,
                tokenizer,
                max_length=max_length,
                n_samples=options.samples,
                source=rows.source,
                notes=rows.notes,
                limit=limit,
            )
            cut = f", {samples.truncated_samples} cut at {max_length} tokens" if samples.truncated_samples else ""
            say(f"{task}: {len(samples)} samples from {rows.source}{cut}")
            samples = replace(samples, notes=self._shown(samples.notes))
            for note in samples.notes[len(rows.notes) :]:  # those on the rows were said when they were read
                say(f"note: {task}: {note}")
            self._samples[task] = samples.over(options.pool_over)
        return self._samples[task]

    @cached_property
    def general_text(self) -> SampleSet | None:
        """The study's general text, as tokens; None if it has none. Raises DataError if it cannot be read or holds no text."""
        entry = self.config.general_text
        if entry is None:
            return None
        documents = read_documents(
            entry.source, text_column=entry.text_column, id_column=entry.id_column, documents=entry.documents
        )
        tokenizer = load_tokenizer(self.base)
        limit = length_limit_of_config(self.model_config)
        max_length = effective_max_length(tokenizer, limit, entry.max_length)
        samples = document_samples(documents, tokenizer, max_length=max_length, limit=limit)
        return replace(samples, notes=self._shown(samples.notes))

    def _shown(self, notes: tuple[str, ...]) -> tuple[str, ...]:
        """Notes on data as records and logs may have them: without the rows that they quote, if the study hides its texts."""
        return notes if self.config.analysis.sample_texts else tuple(map(without_examples, notes))
