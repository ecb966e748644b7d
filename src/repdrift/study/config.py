"""The study file (YAML): tasks x methods x seeds of one base model, with the options of training, extraction and analysis."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from repdrift.core.errors import ConfigError, RepdriftError, UnknownNameError
from repdrift.core.hidden_secrets import remember_all
from repdrift.core.records.representation_set import BASE_METHOD, RANDOM_CHANGE_METHOD
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.validation import validation_faults
from repdrift.extraction.options import ExtractionOptions
from repdrift.study.analysis_options import AnalysisOptions
from repdrift.study.chosen_outcomes import chosen_outcomes
from repdrift.study.general_text_entry import GeneralText, GeneralTextEntry
from repdrift.study.overrides import parse_overrides, with_overrides
from repdrift.study.stores_section import StoresSection
from repdrift.study.task_entry import Section, TaskEntry, TaskName
from repdrift.study.tune_section import TuneSection
from repdrift.study.user_paths import UserPath, UserText, not_empty
from repdrift.study.yaml_file import parse_yaml, read_yaml
from repdrift.tasks import TaskSpec, task, tasks
from repdrift.training import (
    USUAL_ARMS,
    Arm,
    Lora,
    TrainingOptions,
    TrainingOverrides,
    resolve_options,
    shared_lora_options,
    tuning_kinds,
)

DEFAULT_STUDY = "lora_vs_full"
CONFIG_VARIABLE = "REPDRIFT_CONFIG"
"""Environment variable that names the study if a command has no --config."""


def _outcomes_known(given: object) -> object:
    try:
        chosen_outcomes(given)
    except (UnknownNameError, ConfigError) as error:
        raise ValueError(str(error)) from error
    return given


OutcomesGiven = Annotated[Any, BeforeValidator(_outcomes_known)]

Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
"""Seed of a run's random numbers; NumPy takes no others."""


_TAKEN_NAMES = (BASE_METHOD, RANDOM_CHANGE_METHOD)


class ArmEntry(BaseModel):
    """An arm under a name of its own: `{name: lora_r64, kind: lora, rank: 64}`. All other keys are options of its kind."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: TaskName
    """The arm's name in every file and table."""
    kind: str
    """The kind of tuning."""

    @property
    def given(self) -> dict[str, Any]:
        """The options of the kind, as they stand in the file."""
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="after")
    def _options_known(self) -> ArmEntry:
        if self.name in _TAKEN_NAMES or (self.name in tuning_kinds and self.name != self.kind):
            raise ValueError(
                f"an arm of kind {self.kind!r} cannot be called {self.name!r}, which means something else in results"
            )
        try:
            tuning_kinds.get(self.kind).read(self.given)
        except ValidationError as error:
            faults = validation_faults(error, tuning_kinds.get(self.kind).options)
            raise ValueError(f"arm {self.name!r}, kind {self.kind}: {'; '.join(faults)}") from error
        except (ValueError, UnknownNameError) as error:
            raise ValueError(f"arm {self.name!r}: {error}") from error
        return self


class TrainingSection(Section):
    """Training options for all runs, for one arm, or for one task. A task's options win over an arm's, and those over all."""

    all: TrainingOverrides = TrainingOverrides()
    """Options of all runs."""
    methods: dict[str, TrainingOverrides] = {}
    """Options of the runs of one arm, by its name."""
    tasks: dict[str, TrainingOverrides] = {}
    """Options of the runs of one task, by its name."""


class StudyConfig(Section):
    """A study: what is trained, extracted and analysed."""

    name: TaskName
    """The study's name in results and on the page."""
    model: UserText
    """A folder, a Hugging Face hub id, or `packaged:minilm`."""
    revision: str | None = None
    """The version of a hub model: a branch, a tag or a commit; null takes the newest."""
    tasks: tuple[str | TaskEntry, ...] = ("squad_v2", "mrpc", "sst2", "rte")
    """Built-in tasks by name (see `repdrift tasks`), and entries for tasks of your own."""
    methods: tuple[str | ArmEntry, ...] = USUAL_ARMS
    """The arms: kinds of tuning by name, with their usual options, or entries with a name, a kind and options."""
    reference: str = "full_finetune"
    """The arm that every other is compared with."""
    seeds: tuple[Seed, ...] = Field(default=(42, 1337, 2024), max_length=1_000)
    """One model is trained for each seed, arm and task. Tests count trained models, so few seeds can show little (see `repdrift power`)."""
    training: TrainingSection = TrainingSection()
    """Options of training."""
    tune: TuneSection | None = None
    """How the learning rates are chosen; null: they are those under training."""
    extraction: ExtractionOptions = ExtractionOptions()
    """Samples, pooling, layers and sites of the representations."""
    analysis: AnalysisOptions = AnalysisOptions()
    """Measures, tests and intervals."""
    outcomes: OutcomesGiven = None
    """What is measured beside drift: a list of names, or names with options; null: the usual outcomes."""
    general_text: GeneralText = GeneralTextEntry()
    """Documents on which forgetting is measured; without the key those that the package ships, false for none."""
    data_dir: Annotated[UserText, BeforeValidator(not_empty)] | None = None
    """Folder with `<task>/{train,validation}.parquet`, or `sample`; null means $REPDRIFT_DATA, then the hub."""
    stores: StoresSection | None = None
    """Where base representations are shared and results are sent; null: nowhere."""
    results_dir: UserPath = Path("results")
    """Folder for trained models, their representations, and results."""
    base_dir: UserPath = Path("base_representations")
    """Folder for the base model's representations, which studies of one model can share."""

    @field_validator("tasks")
    @classmethod
    def _tasks_known(cls, entries: tuple[str | TaskEntry, ...]) -> tuple[str | TaskEntry, ...]:
        names = [entry if isinstance(entry, str) else entry.name for entry in entries]
        own = {entry.name for entry in entries if not isinstance(entry, str)}
        for name in names:
            if name not in own and name not in tasks():
                raise ValueError(str(UnknownNameError.of("task", name, tasks())))
        _require_unique("task", names)
        folders: dict[str, str] = {}
        for name in names:
            if (other := folders.setdefault(name.casefold(), name)) != name:
                raise ValueError(f"tasks {other!r} and {name!r} would be one folder on Windows and macOS; rename one")
        if ALL_TASKS in names:
            raise ValueError(f"no task can be called {ALL_TASKS!r}: in results and options that name means every task")
        for entry in entries:
            if not isinstance(entry, str) and (fault := entry.column_fault()):
                raise ValueError(f"task {entry.name!r}: {fault}")
        return entries

    @field_validator("methods")
    @classmethod
    def _methods_known(cls, entries: tuple[str | ArmEntry, ...]) -> tuple[str | ArmEntry, ...]:
        for entry in entries:
            if isinstance(entry, str) and entry not in tuning_kinds:
                raise ValueError(
                    f"{UnknownNameError.of('kind of tuning', entry, tuning_kinds.names())}. An arm with a name of its own is an "
                    "entry: {name: NAME, kind: KIND, ...}"
                )
        _require_unique("method", [_name(entry) for entry in entries])
        return entries

    @field_validator("tune", mode="before")
    @classmethod
    def _tune_given(cls, value: object) -> object:
        # `tune:` with nothing behind it asks for tuning, and is null in YAML.
        return {} if value is None or value is True else None if value is False else value

    @field_validator("seeds")
    @classmethod
    def _unique(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        _require_unique("entry", values)
        return values

    @model_validator(mode="after")
    def _consistent(self) -> StudyConfig:
        for name in self.training.tasks:
            if name not in self.task_names:
                raise ValueError(str(UnknownNameError.of("task under training.tasks", name, self.task_names)))
        for name in self.training.methods:
            if name not in self.method_names:
                raise ValueError(str(UnknownNameError.of("method under training.methods", name, self.method_names)))
        if self.reference not in self.method_names and len(self.methods) > 1:
            raise ValueError(
                f"reference: {self.reference!r} is none of this study's methods; every other method is compared with the "
                f"reference, so name one of: {', '.join(self.method_names)}"
            )
        for name in self.analysis.equal_skill_score:
            if name not in self.task_names:
                raise ValueError(
                    str(UnknownNameError.of("task under analysis.equal_skill_score", name, self.task_names))
                )
        self._require_arms_differ()
        if self.stores is not None:
            self.stores.require_elsewhere(self.base_dir, self.results_dir)
        if self.tune is not None:
            self._require_tunable(self.tune)
        return self

    def _require_tunable(self, section: TuneSection) -> None:
        for name in section.tasks:
            if name not in self.task_names:
                raise ValueError(str(UnknownNameError.of("task under tune.tasks", name, self.task_names)))
        rates = {"tune.learning_rates": section.learning_rates} | {
            f"tune.tasks.{task}.learning_rates": own.learning_rates for task, own in section.tasks.items()
        }
        for where, by_arm in rates.items():
            for name in by_arm:
                if name not in self.method_names:
                    raise ValueError(str(UnknownNameError.of(f"method under {where}", name, self.method_names)))
        if section.seed in self.seeds:
            raise ValueError(f"tune.seed: {section.seed} is a seed of the study; take another one for the trials")
        if fixed := self._fixed_rates():
            raise ValueError(
                f"{fixed[0]}.learning_rate fixes a rate, and tune: chooses one for every method and task; take one of the two out"
            )

    def _fixed_rates(self) -> list[str]:
        training = self.training
        named = {
            "training.all": training.all,
            **{f"training.methods.{name}": options for name, options in training.methods.items()},
            **{f"training.tasks.{name}": options for name, options in training.tasks.items()},
        }
        return [name for name, options in named.items() if options.learning_rate is not None]

    def _require_arms_differ(self) -> None:
        for task_name in self.task_names:
            seen: dict[object, str] = {}
            for name in self.method_names:
                arm = self.arm(task_name, name)
                training = json.dumps(self.training_options(task_name, name).for_key())
                what = (*arm.tuning.identity(arm.options), training)
                if (same := seen.setdefault(what, name)) != name:
                    raise ValueError(
                        f"methods {same!r} and {name!r} come to the same on {task_name}: {arm.words}, trained alike"
                    )

    def tuning_on(self, task: str) -> TuneSection | None:
        """Returns how learning rates are chosen on a task; None if the study is not tuned."""
        return None if self.tune is None else self.tune.of_task(task)

    def chosen_outcomes(self) -> dict[str, dict[str, Any]]:
        """The options of every outcome that is measured, by its name."""
        return chosen_outcomes(self.outcomes)

    @property
    def task_names(self) -> list[str]:
        """The tasks' names, in the order of the file."""
        return [entry if isinstance(entry, str) else entry.name for entry in self.tasks]

    def spec(self, name: str) -> TaskSpec:
        """The task of that name. Raises UnknownNameError if the study has none."""
        for entry in self.tasks:
            if not isinstance(entry, str) and entry.name == name:
                return entry.spec()
            if entry == name:
                return task(name)
        raise UnknownNameError.of("task of this study", name, self.task_names)

    @property
    def method_names(self) -> list[str]:
        """The arms' names, in the order of the file."""
        return [_name(entry) for entry in self.methods]

    def arm(self, task_name: str, method: str) -> Arm:
        """The arm of that name, with the options that it has on a task. Raises UnknownNameError if the study has none."""
        entry = next((entry for entry in self.methods if _name(entry) == method), None)
        if entry is None:
            raise UnknownNameError.of("method of this study", method, self.method_names)
        kind, given = (entry, {}) if isinstance(entry, str) else (entry.kind, entry.given)
        tuning = tuning_kinds.get(kind)
        if isinstance(tuning, Lora):
            given = tuning.without_own(shared_lora_options(*self._overrides(task_name, method))) | given
        return Arm(method, kind, tuning.read(given))

    def training_options(self, task_name: str, method: str, learning_rate: float | None = None) -> TrainingOptions:
        """The complete options of one run. learning_rate: that which tuning chose; None takes the one of the file."""
        options = resolve_options(*self._overrides(task_name, method))
        return options if learning_rate is None else options.model_copy(update={"learning_rate": learning_rate})

    def hyperparameters(self, task_name: str, method: str, learning_rate: float | None = None) -> dict[str, Any]:
        """The settings that a run of this task and arm records, and by which it is found again."""
        spec, options = self.spec(task_name), self.training_options(task_name, method, learning_rate)
        return options.for_key(spec.kind) | self.arm(task_name, method).for_key() | spec.for_key()

    def _overrides(self, task_name: str, method: str) -> tuple[TrainingOverrides | None, ...]:
        section = self.training
        return section.all, section.methods.get(method), section.tasks.get(task_name)


def load_study(path: str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a study file. Relative paths in it start from the working folder, as on the command line.

    overrides: fields to set in place of the file's, such as `training.all.epochs=1`. Raises ConfigError that lists every fault, with "did you mean" for unknown keys.
    """
    file = Path(path).expanduser()
    try:
        content = read_yaml(file)
    except FileNotFoundError as error:
        raise ConfigError(
            f"study file {file} does not exist; packaged studies: {', '.join(packaged_studies())}"
        ) from error
    return _with_overrides(content, overrides, where=str(file))


def _with_overrides(content: Any, texts: Sequence[str], *, where: str) -> StudyConfig:
    usual = {name: StudyConfig.model_fields[name].get_default() for name in ("tasks", "methods", "seeds")}
    changed = with_overrides(content, parse_overrides(texts), where=where, usual=usual)
    return parse_study(changed, where=" ".join([where, *(f"--set {shlex.quote(text)}" for text in texts)]))


def parse_study(content: Any, *, where: str) -> StudyConfig:
    """Returns the study with this content. Raises ConfigError that lists every fault, with `where` in front."""
    remember_all(content)
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: expected a mapping with name, model, tasks, ...; got {type(content).__name__}")
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        faults = validation_faults(error, StudyConfig)
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise ConfigError(f"{where}: {len(faults)} fault(s)\n{lines}") from error
    except RepdriftError as error:
        raise ConfigError(f"{where}: {error}") from error


def packaged_studies() -> list[str]:
    """Names of the studies that the package ships."""
    folder = resources.files("repdrift.study") / "configs"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def packaged_study(name: str, overrides: Sequence[str] = ()) -> StudyConfig:
    """A study that the package ships, with overrides as for `load_study`. Raises UnknownNameError if it ships none of this name."""
    content = parse_yaml(packaged_study_text(name), where=name)
    return _with_overrides(content, overrides, where=f"packaged study {name}")


def packaged_study_text(name: str) -> str:
    """The text of a study file that the package ships. Raises UnknownNameError if it ships none of this name."""
    if name not in packaged_studies():
        raise UnknownNameError.of("packaged study", name, packaged_studies())
    return (resources.files("repdrift.study") / "configs" / f"{name}.yaml").read_text(encoding="utf-8")


def _name(entry: str | ArmEntry) -> str:
    return entry if isinstance(entry, str) else entry.name


def _require_unique(kind: str, values: Any) -> None:
    if not values:
        raise ValueError(f"at least one {kind} is needed")
    twice = sorted(str(value) for value, count in Counter(values).items() if count > 1)
    if twice:
        raise ValueError(f"{kind} {twice[0]!r} stands twice")
