"""The commands that make a study again, with the options by which it differs from its file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel

from repdrift.core.errors import RepdriftError
from repdrift.core.option_names import option_words
from repdrift.study.config import StudyConfig, load_study, packaged_studies, packaged_study
from repdrift.study.configuration_differences import field_differences
from repdrift.study.configuration_text import configuration_content
from repdrift.study.given_study import OPTION, config_words, override_words, overrides_of

_OF_RUN = ("model", "data_dir", "results_dir", "base_dir")
"""Fields of a study that `repdrift run` takes as options."""
_OF_ANALYZE = ("results_dir", "base_dir")
_WITH_OPTIONS = frozenset({*_OF_RUN, "extraction", "analysis"})
"""Fields of a study that have options of their own."""


def reproducing_commands(config: StudyConfig, config_path: str | None, tasks: Sequence[str]) -> list[str]:
    """Returns the commands: the whole study, and the analysis by itself where its settings are not those of the file.

    config_path: what the user gave as --config; None for the default study. tasks: those that were analysed.
    """
    name = config_path or config.name
    file = _as_written(name)
    some = {"task": list(tasks)} if list(tasks) != list(config.task_names) else {}
    of_run = _changed({field: getattr(config, field) for field in _OF_RUN}, file)
    extraction = _changed(_fields(config.extraction), None if file is None else file.extraction)
    overrides = [*override_words(config_path), *_set_words(config, file)]
    commands = [["repdrift", "run", str(name), *overrides, *option_words(some | of_run | extraction)]]
    analysis = _changed(_fields(config.analysis), None if file is None else file.analysis)
    if analysis:
        of_analyze = {field: value for field, value in of_run.items() if field in _OF_ANALYZE}
        commands.append(
            [
                "repdrift",
                "analyze",
                *config_words(name),
                *_set_words(config, file),
                *option_words(some | of_analyze | analysis),
            ]
        )
    return [shlex.join(words) for words in commands]


def _set_words(config: StudyConfig, file: StudyConfig | None) -> list[str]:
    """Words that set what differs from the file and has no option of its own, as after the file was changed while its study ran."""
    if file is None:
        return []
    before, now = _set_fields(file), _set_fields(config)
    return [word for found in field_differences(before, now) for word in (OPTION, f"{found.dotted}={_flow(found.now)}")]


def _set_fields(config: StudyConfig) -> dict[str, Any]:
    """The fields that --set alone can change: whole where they are not named, but for `training`, of which the named parts count."""
    named, whole = configuration_content(config), config.model_dump(mode="json")
    whole |= {"training": {}, "tune": whole["tune"] or False}  # `tune:` without a value would ask for tuning
    return {name: named.get(name, default) for name, default in whole.items() if name not in _WITH_OPTIONS}


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _as_written(name: str) -> StudyConfig | None:
    """The study as its file and the overrides beside it have it; None if that is not there any more, so that nothing is known to differ."""
    try:
        overrides = overrides_of(name)
        return packaged_study(name, overrides) if name in packaged_studies() else load_study(name, overrides)
    except RepdriftError:
        return None


def _fields(options: BaseModel) -> dict[str, Any]:
    return {name: getattr(options, name) for name in type(options).model_fields}


def _changed(now: Mapping[str, Any], file: BaseModel | None) -> dict[str, Any]:
    """The settings that differ from the file's; mappings as `NAME=VALUE`, which their options take."""
    if file is None:
        return {}
    changed = {name: value for name, value in now.items() if value != getattr(file, name)}
    return {
        name: [f"{key}={each}" for key, each in value.items()] if isinstance(value, dict) else value
        for name, value in changed.items()
    }
