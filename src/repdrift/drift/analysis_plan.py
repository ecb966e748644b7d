"""The plan of an analysis: which runs are compared, where their representation sets lie, and what is tested."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from repdrift.core.errors import ConfigError
from repdrift.core.hypotheses import claim_about
from repdrift.core.records.claims import Hypothesis
from repdrift.core.records.merged import MergedStudy
from repdrift.core.records.outcomes import RunOutcomes
from repdrift.core.records.representation_set import Stack
from repdrift.core.records.results import ALL_TASKS, PRIMARY_MEASURE
from repdrift.core.records.tuning import StudyTuning
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.tasks import SampleSet
from repdrift.weights import WeightOptions


class TrainedModel(NamedTuple):
    """The final model of one run, within its task."""

    method: str
    seed: int


@dataclass(frozen=True)
class PlannedSet:
    """The representation set of one run at one step, whether it is there or not."""

    task: str
    method: str
    seed: int
    step: int
    folder: Path
    command: str
    """The command that makes the set."""
    weights: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """The runs on this machine that are trained as the study says: by the digest of their weights at this step, the folder."""
    other_weights: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """The runs of this task, method and seed that were trained with other settings, by the digest of their weights."""
    weights_folder: Path | None = None
    """The folder that keeps what was measured of the weights themselves; None: it is measured at every analysis."""
    train_command: str = ""
    """The command that trains the run."""
    first_tokens_folder: Path | None = None
    """The folder that keeps what its final model does to the first tokens of general text; None: they are read at every analysis."""

    @property
    def model(self) -> TrainedModel:
        """The run's model, whatever the step."""
        return TrainedModel(self.method, self.seed)


@dataclass(frozen=True)
class PlannedOutcomes:
    """The outcomes of one run at one step, whether they are there or not. names: the kinds that the study measures.

    folder: that of their files. command: makes them. made_from: for each kind, what the study asks for now, as records have it.
    """

    task: str
    method: str
    seed: int
    step: int
    folder: Path
    command: str
    names: Sequence[str]
    made_from: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    def changed_since(self, record: RunOutcomes) -> list[str]:
        """Names of what the study asks for otherwise than when `record` was measured; what is not known of either counts as the same."""
        now = self.made_from.get(record.name, {})
        return sorted(part for part, digest in record.made_from.items() if now.get(part, digest) != digest)


@dataclass(frozen=True)
class BaseSets:
    """The base model's set for one task, and its second extraction for the identity control."""

    folder: Path
    identity: Path
    command: str


@dataclass(frozen=True)
class FirstTokensPlan:
    """The reading of the first tokens of general text.

    general_text: gives the study's general text; it raises RepdriftError where that cannot be had. None: nobody knows it, or the study has none.
    positions: tokens of each document, from its first. draws: random changes of the weights for each model.
    """

    general_text: Callable[[], SampleSet | None] | None = None
    positions: int = 5
    draws: int = 3


@dataclass(frozen=True)
class DriftPlan:
    """The plan of a whole analysis. model: the study's base model; None takes the model that the sets name.

    Raises ConfigError, with every fault, for a run or a random change that is planned twice (it would count as two trained
    models), for two sets in one folder, for a task without a base set, for a primary measure that is not among the measures,
    and for a level or target outside its range. Raises it also for a task, method or seed that is listed twice, and for a
    task named `all`, because results over all tasks together have that name.
    """

    study: str
    model: str | None
    tasks: Sequence[str]
    methods: Sequence[str]
    seeds: Sequence[int]
    sets: Sequence[PlannedSet]
    bases: Mapping[str, BaseSets]
    measures: Sequence[str]
    target_reduction: float
    alpha: float
    reference_method: str = "full_finetune"
    comparison_methods: Sequence[str] = ("lora",)
    """The methods that are compared with the reference, one contrast each."""
    method_words: Mapping[str, str] = field(default_factory=dict)
    """What a method is, in a few words, by its name; methods that need no words are left out."""
    several_arms: bool = False
    """True in a plan of two methods that is one contrast of several, so that claims must say which one they are about."""
    primary_measure: str = PRIMARY_MEASURE
    equivalence_margin: float | None = None
    """Factor above 1 within which the methods' drifts must lie to count as alike; None: this is not tested."""
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    equal_skill: bool = True
    """Whether methods are compared at equal skill too, where runs have checkpoints."""
    equal_skill_score: Mapping[str, float] = field(default_factory=dict)
    """By task: the score at which it is compared at equal skill, in its own unit; a task without one takes the best that every run reaches."""
    tuning: StudyTuning | None = None
    """How the learning rates were chosen; None: not known."""
    grouped_tasks: Collection[str] = ()
    """Tasks whose samples come in groups, such as questions on one paragraph: their sets should name the groups."""
    random_changes: Sequence[PlannedSet] = ()
    """The folders of the controls: the base model, moved at random as far as training moved the run's model. `method`
    and `seed` are the run's."""
    outcomes: Sequence[PlannedOutcomes] = ()
    """The outcomes of the runs; without any, the analysis is about drift alone."""
    sections: Collection[str] = ()
    """The sections on what moved that are measured, of `SECTIONS`."""
    weights: WeightOptions = WeightOptions()  # noqa: RUF009  (frozen)
    """How the change of the weights is described."""
    first_tokens: FirstTokensPlan = FirstTokensPlan()
    samples_of: Callable[[str], SampleSet] | None = None
    """Gives the samples of a task as its data has them, with texts and labels; it raises RepdriftError where they cannot be had. None: nobody knows them."""
    sample_texts: bool = True
    """Whether texts of samples may stand in results."""
    grid_measures: Sequence[str] = ()
    """Measures of the layer grids beside debiased CKA: those that the study names, and none where it takes the usual ones."""
    blocks: str | None = None
    """The name of the list of blocks, where the study names one; as for the extraction."""
    commands: Sequence[str] = ()
    """The commands that make the study again."""
    configuration: str | None = None
    """The study file, as YAML, after options and overrides; None: not known."""
    merged: MergedStudy | None = None
    """The studies that were put together to this one; None for one study."""
    stack: Stack | None = None
    """The half of an encoder-decoder model that was run; None: its encoder."""

    @property
    def comparison_method(self) -> str:
        """The method of the contrast; the first one of a plan with several, see `contrasts`."""
        return self.comparison_methods[0] if self.comparison_methods else self.reference_method

    def contrasts(self) -> list[DriftPlan]:
        """The plan once for each method that is compared with the reference, as a plan of these two."""
        several = len(self.comparison_methods) > 1
        return [replace(self, comparison_methods=(name,), several_arms=several) for name in self.comparison_methods]

    def claim(self, hypothesis: Hypothesis, method: str | None = None) -> str:
        """Returns a hypothesis in words, as `repdrift.core.hypotheses.claim` does for a record."""
        return claim_about(
            hypothesis,
            comparison=self.comparison_method,
            reference=self.reference_method,
            target_reduction=self.target_reduction,
            equivalence_margin=self.equivalence_margin,
            method=method,
            several_arms=self.several_arms,
        )

    def __post_init__(self) -> None:
        """Check for every fault that would make numbers wrong, not only missing."""
        faults: list[str] = []
        keys = Counter((s.task, s.method, s.seed, s.step) for s in self.sets)
        faults += [
            f"run {task}, {method}, seed {seed}, step {step} is planned {count} times: one trained model counts once"
            for (task, method, seed, step), count in keys.items()
            if count > 1
        ]
        controls = Counter((s.task, s.method, s.seed, s.step) for s in self.random_changes)
        faults += [
            f"the random change of {task}, {method}, seed {seed}, step {step} is planned {count} times"
            for (task, method, seed, step), count in controls.items()
            if count > 1
        ]
        folders = Counter(s.folder for s in [*self.sets, *self.random_changes])
        faults += [f"{count} runs share the folder {folder}" for folder, count in folders.items() if count > 1]
        faults += [f"task {task!r} has no base set" for task in self.tasks if task not in self.bases]
        for kind, names in (
            ("task", self.tasks),
            ("method", self.methods),
            ("seed", self.seeds),
            ("comparison method", self.comparison_methods),
        ):
            faults += [
                f"{kind} {name!r} is listed {count} times" for name, count in Counter(names).items() if count > 1
            ]
        faults += [
            f"a score at equal skill is given for task {name!r}, which the study does not have ({', '.join(self.tasks)})"
            for name in self.equal_skill_score
            if name not in self.tasks
        ]
        if ALL_TASKS in self.tasks:
            faults.append(
                f"a task cannot be named {ALL_TASKS!r}: results over all tasks together have that name. Rename it"
            )
        if self.primary_measure not in self.measures:
            faults.append(
                f"the hypotheses are tested on {self.primary_measure!r}, which is not among the measures "
                f"({', '.join(self.measures)})"
            )
        if self.reference_method in self.comparison_methods:
            faults.append(f"{self.reference_method!r} cannot be compared with itself")
        if not 0 < self.alpha < 0.5:  # from 0.5 on, the lower bound would lie above the estimate
            faults.append(f"alpha should lie between 0 and 0.5, got {self.alpha}")
        if not 0 <= self.target_reduction < 1:
            faults.append(f"the target reduction should be at least 0 and below 1, got {self.target_reduction}")
        if self.equivalence_margin is not None and not 1 < self.equivalence_margin < math.inf:
            faults.append(f"the equivalence margin is a factor above 1, such as 1.25; got {self.equivalence_margin}")
        if faults:
            raise ConfigError("; ".join(dict.fromkeys(faults)))
