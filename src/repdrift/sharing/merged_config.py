"""The study file of several studies together: the union of their tasks, arms and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from repdrift.core.errors import ConfigError, RepdriftError
from repdrift.sharing.merge_sources import MergeSource
from repdrift.study.config import StudyConfig

T = TypeVar("T")


def merged_config(sources: Sequence[MergeSource], name: str, results_dir: Path, base_dir: Path) -> StudyConfig:
    """Returns the study that has the runs of all sources. Each has its configuration, and they passed `require_mergeable`.

    Raises ConfigError if no one study file can say what these say, naming the runs that it would change.
    """
    configs = [(source, config) for source in sources if (config := source.config) is not None]
    contents = [
        _with_precision(config.model_dump(mode="json", exclude_unset=True), source) for source, config in configs
    ]
    merged: dict[str, Any] = dict(contents[0])
    merged.pop("tune", None)
    if (tune := _tune(configs, contents)) is not None:
        merged["tune"] = tune
    merged.pop("stores", None)  # a merged study is no one's results on a store
    merged |= {"name": name, "results_dir": str(results_dir), "base_dir": str(base_dir)}
    merged["tasks"] = _by_name(config.model_dump(mode="json", exclude_unset=True, include={"tasks"}).get("tasks", list(config.task_names)) for _, config in configs)  # fmt: skip
    merged["methods"] = _by_name(content.get("methods", list(config.method_names)) for (_, config), content in zip(configs, contents, strict=True))  # fmt: skip
    merged["seeds"] = _once(seed for _, config in configs for seed in config.seeds)
    if training := _training(configs, contents):
        merged["training"] = training
    if not all(config.analysis.sample_texts for _, config in configs):
        merged["analysis"] = {**merged.get("analysis", {}), "sample_texts": False}
    try:
        found = StudyConfig.model_validate(merged)
    except (ValueError, RepdriftError) as error:
        raise ConfigError(f"these studies cannot be written as one: {error}") from error
    for (source, _), content in zip(configs, contents, strict=True):
        _require_unchanged(found, StudyConfig.model_validate(content), source)
    return found


def _with_precision(content: dict[str, Any], source: MergeSource) -> dict[str, Any]:
    """The study file with the precision that its runs trained in, in place of `auto`, which would mean that of this machine."""
    found = {run.hyperparameters.get("precision") for run in source.results.trained}
    if len(found) != 1 or "training" not in content:
        return content
    (precision,) = found

    def put(options: dict[str, Any]) -> dict[str, Any]:
        return {**options, "precision": precision} if options.get("precision") == "auto" else options

    training = content["training"]
    parts = {
        key: {name: put(options) for name, options in training[key].items()}
        for key in ("methods", "tasks")
        if key in training
    }
    of_all = {"all": put(training["all"])} if "all" in training else {}
    return {**content, "training": {**training, **parts, **of_all}}


def _training(configs: Sequence[tuple[MergeSource, StudyConfig]], contents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sections `training:` in one: where those for all runs differ, they stand under each arm; options of a task are those of a study that has results of it."""
    sections = [content.get("training", {}) for content in contents]
    for_all = [section.get("all", {}) for section in sections]
    alike = all(options == for_all[0] for options in for_all)
    methods: dict[str, Any] = {}
    tasks: dict[str, Any] = {}
    for section, of_all, (_, config) in zip(sections, for_all, configs, strict=True):
        for name in config.method_names:
            given = section.get("methods", {}).get(name, {})
            options = given if alike else {**of_all, **given}
            if options:
                methods.setdefault(name, options)
    analysed = {task for source, _ in configs for task in source.tasks}
    for section, (source, _) in zip(sections, configs, strict=True):
        for name, options in section.get("tasks", {}).items():
            if name in source.tasks or name not in analysed:
                tasks.setdefault(name, options)
    found = {"all": for_all[0] if alike else {}, "methods": methods, "tasks": tasks}
    return {name: options for name, options in found.items() if options}


def _tune(
    configs: Sequence[tuple[MergeSource, StudyConfig]], contents: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """The section `tune:` of all studies; None if they are not tuned.

    On a task that several of them have they have the same, but for the rates of arms that only one of them has. Where studies differ, each task has its own rates.
    """
    _, first = configs[0]
    if first.tune is None:
        return None
    sections = [content["tune"] for content in contents]
    found = dict(sections[0])
    if any(section != sections[0] for section in sections):
        by_task = {
            task: _rates_of_task(task, configs)
            for task in _once(task for source, _ in configs for task in source.tasks)
        }
        alike, *others = by_task.values()
        if all(other == alike for other in others):
            found = {key: value for key, value in found.items() if key != "tasks"} | alike
        else:
            found["tasks"] = by_task
    seed = first.tune.trial_seed(first.seeds)
    if first.tune.trial_seed(tuple(_once(seed for _, config in configs for seed in config.seeds))) != seed:
        found["seed"] = seed
    return found


def _rates_of_task(task: str, configs: Sequence[tuple[MergeSource, StudyConfig]]) -> dict[str, Any]:
    """The rates that study files give for the arms of a task, and the number of trials. An arm that no file names has its kind's usual ones, in the merged study too."""
    sections = [of for source, config in configs if task in source.tasks and (of := config.tuning_on(task)) is not None]
    rates: dict[str, list[float]] = {}
    for section in sections:
        for name, given in section.learning_rates.items():
            rates.setdefault(name, list(given))
    return {"learning_rates": rates, "trials": sections[0].n_trials}


def _require_unchanged(merged: StudyConfig, config: StudyConfig, source: MergeSource) -> None:
    """Raises ConfigError if a run of a source would have other settings in the merged study."""
    for task in source.tasks:
        for method in config.method_names:
            then, now = config.hyperparameters(task, method), merged.hyperparameters(task, method)
            if apart := sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)):
                raise ConfigError(
                    f"these studies cannot be written as one: {method} on {task} has {apart[0]} {then.get(apart[0])} in {source.named}, and would have "
                    f"{now.get(apart[0])}, since the study files set options for tasks or all runs that do not go together. Write these options under "
                    "`training: methods:` in the study files, which changes no run."
                )


def _by_name(parts: Iterable[Sequence[Any]]) -> list[Any]:
    """Entries in their order, each name once: the first one counts."""
    found: dict[str, Any] = {}
    for part in parts:
        for entry in part:
            found.setdefault(entry if isinstance(entry, str) else entry["name"], entry)
    return list(found.values())


def _once(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
