"""An outcome: a number for each item of what a trained model can do, and the base model's number for the same item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.outcomes import ON_TASK, Inputs, OutcomeInfo, ShadedTokens
from repdrift.core.registry import Registry
from repdrift.core.row_scores import RowScores
from repdrift.models import ModelSource
from repdrift.stores import RepresentationSet
from repdrift.tasks import ClassValue, SampleSet


@dataclass(frozen=True)
class MeasuredItems:
    """The items of one outcome of one trained model.

    info: what the numbers mean. ids: n sample or document ids. values: (n,) the tuned model's. base_values: (n,) the base
    model's; None: it has none. weights: (n,) tokens that a value is the mean over; None: each is of a whole item. groups: n
    labels of items that belong together; None: each stands alone. layer: the block that is read, from 0; None: the whole model.
    Raises ShapeError for other lengths or an id that is there twice, NonFiniteError for NaN or Inf.
    """

    info: OutcomeInfo
    inputs: Inputs
    ids: Sequence[str]
    values: NDArray[np.float64]
    base_values: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    groups: Sequence[str] | None = None
    layer: int | None = None

    def __post_init__(self) -> None:
        """Hold every array to the number of ids."""
        name, n = self.info.name, len(self.ids)
        for what, array in (("values", self.values), ("base values", self.base_values), ("weights", self.weights)):
            if array is not None and array.shape != (n,):
                raise ShapeError(f"outcome {name!r}: {what} should be ({n},), one for each item; got {array.shape}")
            if array is not None and not np.isfinite(array).all():
                at = int(np.flatnonzero(~np.isfinite(array))[0])
                raise NonFiniteError(
                    f"outcome {name!r}: the {what.removesuffix('s')} of item {self.ids[at]!r} is {array[at]}. The model gives numbers that are not "
                    "finite: its training diverged, or its precision is too low."
                )
        if self.groups is not None and len(self.groups) != n:
            raise ShapeError(f"outcome {name!r}: {len(self.groups)} groups for {n} items")
        if len(set(self.ids)) != n:
            raise ShapeError(f"outcome {name!r}: an item's id is there twice")


@dataclass(frozen=True)
class ScoredRows:
    """The scores of a trained model on the task's own evaluation rows. notes: sentences on how rows were scored.

    ids: those of the rows. groups: labels of rows that belong together; None: each stands alone. primary: the score by which the
    task is judged.
    """

    ids: Sequence[str]
    groups: Sequence[str] | None
    scores: Sequence[RowScores]
    primary: str
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Subject:
    """A trained model, its base model, and all that its outcomes may be measured on.

    tuned: a whole model, or an adapter on `base`. samples: the task's fixed sample set. labels: the class of each sample, by id;
    None: the task has no classes. general_text: documents that have nothing to do with the task; None: none were given.
    base_set, tuned_set: the representation sets of the two models over `samples`; None: not extracted. score_rows: scores the
    tuned model with its head. rows_fingerprint: of all that determines the scores beside weights. data_fingerprint: of the part of it that every run
    of the task shares. has_scorer: whether continuations are right or wrong. shared: what outcomes keep for the other models of
    the same task and base model; shared_by_study: for those of every task. base_states: the folder where the base model's final hidden states are
    kept for other runs; None: they are held in memory. passed: the folder of what the extraction of this model has read of its outputs; None: nothing.
    keeps_texts: whether texts of samples may stand in records. quotes_rows: whether notes may quote the data.
    """

    task: str
    method: str
    seed: int
    step: int
    task_kind: str
    num_labels: int | None
    base: ModelSource
    tuned: ModelSource
    samples: SampleSet
    score_rows: Callable[[], ScoredRows]
    rows_fingerprint: str
    data_fingerprint: str = ""
    has_scorer: bool = False
    labels: Mapping[str, ClassValue] | None = None
    general_text: SampleSet | None = None
    base_set: RepresentationSet | None = None
    tuned_set: RepresentationSet | None = None
    shared: dict[Any, Any] = field(default_factory=dict)
    shared_by_study: dict[Any, Any] = field(default_factory=dict)
    base_states: Path | None = None
    passed: Path | None = None
    keeps_texts: bool = True
    quotes_rows: bool = True

    @cached_property
    def scored(self) -> ScoredRows:
        """The tuned model's scores, computed once for all outcomes that read them."""
        return self.score_rows()

    @property
    def words(self) -> str:
        """Names the trained model, for progress and messages."""
        step = f", step {self.step}" if self.step else ""
        return f"{self.task}, {self.method}, seed {self.seed}{step}"


class Outcome(Protocol):
    """One kind of outcome. A stage needs nothing else of it.

    name: in the study file and of its files. usual: whether a study that names no outcomes has it. shares_batches: whether `measure` is
    called in every process of `torchrun`, and shares its batches among them; otherwise the first process alone measures.
    """

    name: str
    title: str
    usual: bool
    shares_batches: bool

    def options(self, given: object) -> dict[str, Any]:
        """Read what the study file says behind the name; True: the name alone. Raises ConfigError for what it does not take."""
        ...

    def that_count(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options that change items, as plain JSON. Nothing is looked up for it."""
        ...

    def for_key(self, subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns all that determines the items beside the two models' weights, as plain JSON."""
        ...

    def applies(self, subject: Subject, options: Mapping[str, Any]) -> str | None:
        """Returns the reason why the outcome does not apply, in a sentence; None if it does."""
        ...

    def measure(self, subject: Subject, options: Mapping[str, Any]) -> Measured:
        """Measure the outcome. Raises NonFiniteError if a model gives NaN or Inf."""
        ...


@dataclass(frozen=True)
class Measured:
    """The result of one kind of outcome for one model. notes: sentences on how it was measured.

    left_out: what of it does not apply, with the reason: (outcome, inputs, reason). strips: texts token by token; None: not kept.
    """

    items: Sequence[MeasuredItems]
    notes: Sequence[str] = ()
    left_out: Sequence[tuple[str, Inputs, str]] = ()
    strips: Sequence[ShadedTokens] | None = None


outcomes: Registry[Outcome] = Registry("outcome", "repdrift.outcomes.kinds")
"""Every kind of outcome, by its name."""


def no_options(name: str, given: object) -> dict[str, Any]:
    """Returns no options, for an outcome that takes none. Raises ConfigError if some are given."""
    if given is not True:
        raise ConfigError(f"outcome {name!r} takes no options; write its name alone, got {given!r}")
    return {}


def on_task(subject: Subject) -> dict[str, Any]:
    """Returns the part of a key that says on which task inputs an outcome was measured."""
    return {"inputs": ON_TASK, "samples": subject.samples.fingerprint, **groups_key(subject.samples.groups)}


def groups_key(groups: Sequence[str] | None) -> dict[str, Any]:
    """Returns the part of a key that says which items belong together; empty where each stands alone. A fingerprint of samples leaves it out."""
    return {} if groups is None else {"groups": config_sha256({"groups": list(groups)})}


OF_ONE_RUN = ("rows", "tuned_set")
"""Parts of a key that each run has for itself. All others are equal for runs whose outcomes are set side by side."""


def on_rows(subject: Subject) -> dict[str, Any]:
    """Returns the part of a key that says on which of the task's evaluation rows an outcome was measured."""
    return {"rows": subject.rows_fingerprint, "data": subject.data_fingerprint}
