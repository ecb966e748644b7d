"""Tasks of lm-evaluation-harness as a study names them: by name, or as a file of one's own; read without running any code."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from repdrift.core.errors import ConfigError, MissingDependencyError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.reading import reading_errors

EXTRA, PACKAGE = "lm-eval", "lm_eval"
_LONGEST = 1 << 20
_SUFFIXES = (".yaml", ".yml")
_CODE = ("!function", "include", "class", "hf_evaluate", "trust_remote_code")


class HarnessOptions(BaseModel):
    """Settings of lm-evaluation-harness. `batch_size` changes values by no more than floating-point noise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: tuple[str, ...] = Field(min_length=1, description="Names of its tasks, or YAML files of tasks of one's own.")
    num_fewshot: int | None = Field(
        default=None, ge=0, description="Examples before each item; null: what the task says, else none."
    )
    limit: int | None = Field(default=None, ge=1, description="Items of each task, the first ones; null: all.")
    group_field: str | None = Field(
        default=None, description="Field of a task's rows; items with the same value in it belong together."
    )
    batch_size: int = Field(default=8, ge=1, description="Items in one batch.")


def require_harness() -> None:
    """Raises MissingDependencyError, with the command that installs it, if lm-evaluation-harness is not there."""
    try:
        import lm_eval  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingDependencyError.of(PACKAGE, EXTRA, "outcome 'lm_eval'") from error


def is_task_file(name: str) -> bool:
    """True if a task is named by its file."""
    return name.endswith(_SUFFIXES)


def read_task_file(path: Path) -> dict[str, Any]:
    """Reads a task of one's own from YAML, with paths of data files made whole: they count from the task file's folder.

    Raises ConfigError for a file that names code, such as a `!function`, which is never run, or no task.
    """
    with reading_errors(path):
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise ConfigError(
                f"outcome 'lm_eval': there is no task file {path}; give its path, or the name of a task"
            ) from error
    if len(text) > _LONGEST:
        raise ConfigError(f"outcome 'lm_eval': {path} has {len(text):,} characters; a task has {_LONGEST:,} at most")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Plain)):
            raise ConfigError(
                f"outcome 'lm_eval': {path} has an alias (*name), which a task does not need: write it out"
            )
        content: Any = yaml.load(text, Loader=_Plain)  # noqa: S506  a safe loader that knows one tag more, to refuse it
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"outcome 'lm_eval': {path} is no YAML file: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or not isinstance(content.get("task"), str):
        raise ConfigError(
            f"outcome 'lm_eval': {path} should hold one task of lm-evaluation-harness, with its name behind `task:`"
        )
    if code := next((key for key in _CODE if _mentions(content, key)), None):
        raise ConfigError(
            f"outcome 'lm_eval': {path} has `{code}`, which brings code from elsewhere; code of a task is never run. Write the task without it."
        )
    if reach := next((text for text in _texts(content) if "{" in text and "__" in text), None):
        raise ConfigError(
            f"outcome 'lm_eval': a template in {path} holds '__', by which templates reach code: {reach[:80]!r}. Write it without."
        )
    files = data_files(content)
    if files:
        content["dataset_kwargs"]["data_files"] = _located(content["dataset_kwargs"]["data_files"], path.parent)
    return content


def data_files(content: Mapping[str, Any]) -> list[str]:
    """The data files that a task names."""
    kwargs = content.get("dataset_kwargs")
    named = kwargs.get("data_files") if isinstance(kwargs, Mapping) else None
    return _flat(named)


def task_key(name: str) -> Any:
    """Returns what determines a task: the name of a built-in one; of a file its content and that of its data files."""
    if not is_task_file(name):
        return name
    path = Path(name).expanduser()
    content = read_task_file(path)
    with reading_errors(path):
        return {"task": file_sha256(path), "data": [_digest(file) for file in data_files(content)]}


def unknown_task(name: str, known: list[str]) -> ConfigError:
    """The error for a name that is no task, with those that are most like it."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return ConfigError(
        f"outcome 'lm_eval': {name!r} is none of the {len(known):,} tasks of lm-evaluation-harness.{hint} `lm_eval ls tasks` lists them; a task of "
        "one's own is named by its file, NAME.yaml"
    )


def _digest(file: str) -> str:
    if "://" in file:
        return file
    path = Path(file)
    if not path.is_file():
        raise ConfigError(
            f"outcome 'lm_eval': the data file {file} of a task is not there. Put it there, or correct data_files in the task file"
        )
    with reading_errors(path):
        return file_sha256(path)


def _located(named: Any, folder: Path) -> Any:
    if isinstance(named, str):
        if "://" in named:
            return named
        path = Path(named).expanduser()
        return str(path if path.is_absolute() else (folder / path).resolve())
    if isinstance(named, Mapping):
        return {key: _located(value, folder) for key, value in named.items()}
    return [_located(value, folder) for value in named]


def _flat(named: Any) -> list[str]:
    if isinstance(named, str):
        return [named]
    if isinstance(named, Mapping):
        return [file for value in named.values() for file in _flat(value)]
    return [file for value in named for file in _flat(value)] if isinstance(named, list) else []


def _mentions(content: Any, key: str) -> bool:
    if isinstance(content, _Code):
        return key == "!function"
    if isinstance(content, Mapping):
        return key in content or any(_mentions(value, key) for value in content.values())
    return isinstance(content, list) and any(_mentions(value, key) for value in content)


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    if isinstance(content, Mapping):
        return [text for value in content.values() for text in _texts(value)]
    return [text for value in content for text in _texts(value)] if isinstance(content, list) else []


class _Code(str):
    """A name of code in a task file, which is not run."""


class _Plain(yaml.SafeLoader):
    """The safe loader, which keeps a `!function` as a mark."""


_Plain.add_constructor("!function", lambda loader, node: _Code(loader.construct_scalar(node)))  # pyright: ignore[reportArgumentType]
