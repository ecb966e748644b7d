"""Scores the trained models of one task again, row by row, with the processors of training."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from functools import cached_property

from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.run import RunRecord
from repdrift.core.words import score_number
from repdrift.models import ModelSource, tokenizer_digests
from repdrift.outcomes.outcome import ScoredRows, groups_key
from repdrift.study.inputs import StudyInputs
from repdrift.tasks import rows_in_use
from repdrift.tasks.group_names import groups_of
from repdrift.tasks.sample_set import chosen_numbers
from repdrift.training import FinishedRun, SavedScorer, kept_scores, scored_on

_APART = 0.005
"""A score that differs by more from the one in run.json is said; another machine may decide a few rows otherwise."""


@dataclass
class TaskScoring:
    """The scores of a study's models on one task. Rows and tokens are made once for models whose inputs are made alike."""

    inputs: StudyInputs
    task: str
    _scorers: dict[tuple[object, ...], SavedScorer] = field(default_factory=dict, init=False)
    _fingerprints: dict[int | None, str] = field(default_factory=dict, init=False)

    def score(self, run: FinishedRun, tuned: ModelSource, step: int) -> ScoredRows:
        """Score the model of a run after `step` (0: the final model): as training kept it, or by a pass. Raises what SavedScorer.score() raises."""
        record = run.record
        if (kept := self._kept(run, step)) is not None:
            return kept
        found = self._scorer(record.method).score(tuned, record, step)
        gc.collect()  # models refer to themselves
        scored = found.scored
        notes = []
        then = (record.metrics if step == 0 else (record.checkpoint_scores or {}).get(step, {})).get(scored.metric)
        now = scored.metrics[scored.metric]
        if then is not None and abs(now - then) > _APART * max(1.0, abs(then)):
            why = "the rows, the machine or its libraries are others than in training."
            if _quantised(record):
                why = "that is of the adapter on the 4-bit base model on which it was trained, and this of the adapter on the full one."
            notes.append(
                f"{scored.metric} is {score_number(now)} here, and {score_number(then)} in the run's record: {why}"
            )
        notes += _left_out_note(found.left_out)
        return ScoredRows(found.ids, scored.groups, scored.of_rows, scored.metric, tuple(notes))

    def _kept(self, run: FinishedRun, step: int) -> ScoredRows | None:
        """Returns the scores that training kept of the same model, rows and settings; None: it kept none of them.

        Training on a base model in few bits scored that one, and here the adapter stands on the full base model.
        """
        spec, rows, record = self.inputs.config.spec(self.task), self.inputs.rows(self.task, "validation"), run.record
        if record.learnt is None or step not in record.row_scores_of or _quantised(record):
            return None
        limit = self.inputs.config.training_options(self.task, record.method).max_validation_samples
        wanted = scored_on(spec, self.inputs.base, rows, limit, record, step)
        found = kept_scores(run.folder, record, step, wanted)
        if found is None:
            return None
        left_out = len(chosen_numbers(spec, rows.rows, limit, source=rows.source)) - len(found.ids)
        return ScoredRows(found.ids, found.groups, found.scores, record.learnt.metric, _left_out_note(left_out))

    def fingerprint(self, record: RunRecord, step: int) -> str:
        """Returns the SHA-256 of all that determines the scores beside weights: rows, and how inputs are made of them."""
        spec = self.inputs.config.spec(self.task)
        options = self.inputs.config.training_options(self.task, record.method)
        limit = options.max_validation_samples
        if limit not in self._fingerprints:
            self._fingerprints[limit] = rows_in_use(spec, self.inputs.rows(self.task, "validation"), limit).fingerprint
        chosen_on = record.data_fingerprint if step and spec.kind == "extractive_qa" else None
        return config_sha256(
            {
                "data": self.data_fingerprint,
                "rows": self._fingerprints[limit],
                "chosen_on": chosen_on,
                "classes": record.class_labels,
                "how": {
                    name: record.hyperparameters.get(name)
                    for name in ("max_length_used", "null_threshold", "doc_stride", "null_threshold_share")
                },
                "scores": spec.continuation.for_scores(),
                "tokenizer": tokenizer_digests(self.inputs.base),
            }
        )

    @cached_property
    def data_fingerprint(self) -> str:
        """The SHA-256 of what scores of every run of the task rest on: all evaluation rows, their groups, and what counts as right."""
        spec, rows = self.inputs.config.spec(self.task), self.inputs.rows(self.task, "validation")
        return config_sha256(
            {
                "rows": rows.fingerprint,
                "scores": spec.continuation.for_scores(),
                **groups_key(groups_of(spec, rows.rows)),
            }
        )

    def _scorer(self, method: str) -> SavedScorer:
        spec, inputs = self.inputs.config.spec(self.task), self.inputs
        options = inputs.config.training_options(self.task, method)
        # Only these options change scores: arms with other learning rates share what the base model answers.
        key = (
            options.max_validation_samples,
            *(
                (options.doc_stride, options.null_threshold_share, options.max_train_samples)
                if spec.kind == "extractive_qa"
                else ()
            ),
        )
        if key not in self._scorers:
            self._scorers[key] = SavedScorer(
                spec,
                inputs.base,
                options,
                inputs.rows(self.task, "validation"),
                lambda: rows_in_use(spec, inputs.rows(self.task, "train"), options.max_train_samples),
            )
        return self._scorers[key]


def _quantised(record: RunRecord) -> bool:
    return record.tuning is not None and record.tuning.quantised_base is not None


def _left_out_note(count: int) -> tuple[str, ...]:
    return (f"{count} rows were left out, as in training: no input can be made of them.",) if count else ()
