"""The study of one published model: its settings and the rate that it was trained at, and nothing else of the published study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repdrift.core.errors import ConfigError, DataError
from repdrift.sharing.reproduction.published import PublishedModel, PublishedStudy
from repdrift.study.config import StudyConfig, parse_study
from repdrift.study.configuration_text import configuration_content

RESULTS = "results"
BASE = "base_representations"
_LEFT_OUT = ("tune", "stores", "outcomes", "general_text", "results_dir", "base_dir", "data_dir")
"""Fields of the published study that say where things are sent or lie, or ask for more than drift."""
_NOT_OF_TRAINING = ("report_to", "save_state_every")
"""Options of training that change no weight, and send or keep something."""


def model_study(
    study: PublishedStudy,
    model: PublishedModel,
    output: Path,
    *,
    base_model: str | None = None,
    data_dir: Path | None = None,
) -> StudyConfig:
    """Returns a study of this one model, whose files go below `output`.

    base_model: where the base model is; None takes what the results name. data_dir: where the data is; None takes what the results name if that is
    there, then the usual places. Where the rate was tuned, the chosen one is fixed. What decides how drift is measured is that of the published sets, whatever
    this version's defaults are. Nothing is sent anywhere, and nothing but drift is measured.
    Raises ConfigError if the configuration in the results cannot be read, or a file of a task of the user's own is not in data_dir; DataError
    if it lacks the model's task or arm.
    """
    config, task, method = study.config, model.run.task, model.run.method
    content = configuration_content(config)
    tasks = [_entry(entry, data_dir) for entry in content.get("tasks", list(config.task_names)) if _name(entry) == task]
    methods = [entry for entry in content.get("methods", list(config.method_names)) if _name(entry) == method]
    if not tasks or not methods:
        raise DataError(
            f"the results at {study.where} have {model.name}, and their configuration has no such {'arm' if tasks else 'task'}: they are not of one study."
        )
    kept = {name: value for name, value in content.items() if name not in _LEFT_OUT}
    changed: dict[str, Any] = {
        "tasks": tasks,
        "methods": methods,
        "reference": method,
        "seeds": [model.run.seed],
        "training": _training(content.get("training") or {}, model, tuned=config.tune is not None),
        "extraction": {**(content.get("extraction") or {}), **_as_published(study, task)},
        "analysis": {"sample_texts": config.analysis.sample_texts},
        "general_text": False,
        "results_dir": str(output / RESULTS),
        "base_dir": str(output / BASE),
    }
    if base_model is not None:
        changed |= {"model": base_model, "revision": None}
    if data_dir is not None:
        changed["data_dir"] = str(data_dir)
    elif config.data_dir is not None and (config.data_dir == "sample" or Path(config.data_dir).is_dir()):
        changed["data_dir"] = config.data_dir
    return parse_study(kept | changed, where=f"{model.name} of the configuration in {study.where}")


def _as_published(study: PublishedStudy, task: str) -> dict[str, Any]:
    """Settings of the extraction as the published sets had them, where the results tell it; without what drift does not rest on."""
    told = study.results.study
    options = study.config.training_options(task, study.config.method_names[0])
    return {
        "pooling": told.pooling,
        "pool_over": told.pool_over,
        **({"compute_dtype": told.compute_dtype} if told.compute_dtype is not None else {}),
        "max_length": study.config.extraction.max_length
        or options.max_length,  # samples are cut as the first arm's texts
        "sites": ["resid_post"],
        "weights": False,
        "random_change": "none",
    }


def _training(content: Mapping[str, Any], model: PublishedModel, *, tuned: bool) -> dict[str, Any]:
    precision = model.trained.hyperparameters.get("precision")

    def put(options: Mapping[str, Any] | None) -> dict[str, Any]:
        kept = {name: value for name, value in (options or {}).items() if name not in _NOT_OF_TRAINING}
        return {**kept, "precision": precision} if kept.get("precision") == "auto" else kept

    method = put((content.get("methods") or {}).get(model.run.method))
    if tuned:
        method["learning_rate"] = model.trained.hyperparameters["learning_rate"]
    return {
        "all": put(content.get("all")),
        "methods": {model.run.method: method},
        "tasks": {model.run.task: put((content.get("tasks") or {}).get(model.run.task))},
    }


def _entry(entry: str | dict[str, Any], data_dir: Path | None) -> str | dict[str, Any]:
    """An entry of a task; the files of a user's own are looked for in `data_dir`, by the names that they have."""
    if isinstance(entry, str) or data_dir is None:
        return entry
    found = dict(entry)
    for split in ("train", "validation"):
        if entry.get(split) is None:
            continue
        name = Path(str(entry[split])).name
        places = [data_dir / str(entry["name"]) / name, data_dir / name]
        found[split] = next((str(place) for place in places if place.exists()), None)
        if found[split] is None:
            raise ConfigError(
                f"task {entry['name']!r} is one of the user's own, whose {split} rows were in a file called {name!r}; expected it at "
                f"{places[0]} or {places[1]}, and neither is there. Name another --data-dir, or leave it out to read the file where it was."
            )
    return found


def _name(entry: str | dict[str, Any]) -> str:
    return entry if isinstance(entry, str) else str(entry["name"])
