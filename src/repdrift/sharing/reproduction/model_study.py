"""The study of one published model: its settings and the rate that it was trained at, and nothing else of the published study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repdrift.core.errors import SampleSetMismatchError
from repdrift.core.words import listed
from repdrift.models import changed_files
from repdrift.sharing.reproduction.published import PublishedModel, PublishedStudy
from repdrift.study.config import StudyConfig, parse_study
from repdrift.study.configuration_text import configuration_content
from repdrift.study.inputs import StudyInputs

RESULTS = "results"
BASE = "base_representations"


def model_study(study: PublishedStudy, model: PublishedModel, output: Path, data_dir: str | None) -> StudyConfig:
    """Returns a study of this one model, whose files go below `output`. data_dir: where the data is; None takes what the results name, then the usual places.

    Where the rate was tuned, the chosen one is fixed. Nothing is sent to the stores of the published study, and nothing but drift is measured.
    Raises ConfigError if the configuration in the results cannot be read, or the training had other settings than it says.
    """
    task, method, seed = model.run.task, model.run.method, model.run.seed
    content = configuration_content(study.config)
    rate = model.trained.hyperparameters["learning_rate"]
    training = _training(content.get("training") or {}, task, method, rate if study.config.tune else None)
    analysis = {name: value for name, value in (content.get("analysis") or {}).items() if name != "equal_skill_score"}
    kept = {
        name: value for name, value in content.items() if name not in ("tune", "stores", "outcomes", "general_text")
    }
    changed = {
        "tasks": [entry for entry in content["tasks"] if _name(entry) == task],
        "methods": [entry for entry in content.get("methods", [method]) if _name(entry) == method],
        "reference": method,
        "seeds": [seed],
        "training": training,
        "analysis": analysis,
        "results_dir": str(output / RESULTS),
        "base_dir": str(output / BASE),
        **({"data_dir": data_dir} if data_dir is not None else {}),
    }
    return parse_study(kept | changed, where=f"{model.name} of the configuration in {study.where}")


def require_the_same(study: PublishedStudy, model: PublishedModel, inputs: StudyInputs) -> None:
    """Raises SampleSetMismatchError, with what differs, unless base model, rows, settings and samples here are the published ones."""
    job, then = inputs.training_job(model.run), model.trained
    faults: list[str] = []
    if inputs.base.weights_digest() != then.base_digest:
        faults.append(f"the base model {inputs.base.ref} has other weights")
    elif changed := _changed_files(study, model, inputs):
        faults.append(f"of the base model {inputs.base.ref}, {listed(changed)} differs")
    rows = job.training_rows()
    if rows.fingerprint != then.data_fingerprint:
        faults.append(
            f"the training rows are others ({len(rows.rows)} from {rows.source}; published: {then.n_train} from {then.data_source})"
        )
    wanted = job.hyperparameters()
    differing = [
        f"{name} {wanted.get(name)!r} in place of {then.hyperparameters.get(name)!r}"
        for name in _other_settings(then.hyperparameters, wanted)
    ]
    if differing:
        faults.append(f"the settings are others: {listed(differing)}")
    if not faults and job.key() != then.key:
        validation = job.validation_rows()
        faults.append(
            f"the validation rows are others ({len(validation.rows)} from {validation.source}; published: {then.n_validation})"
        )
    samples = inputs.sample_set(model.run.task)
    if model.status.sample_set_fingerprint not in (None, samples.fingerprint):
        faults.append(
            f"drift was published for {model.status.n_samples} samples, and those of the data here are others ({len(samples)})"
        )
    if faults:
        raise SampleSetMismatchError(
            f"{model.name} cannot be made again here, and nothing was trained: {'; '.join(faults)}. Name the folder of the published study's data "
            "with --data-dir, and have its base model at hand."
        )


def _changed_files(study: PublishedStudy, model: PublishedModel, inputs: StudyInputs) -> list[str]:
    """The base model's settings and tokenizer files that differ from those of the training; none where the results do not tell them."""
    tuning = study.results.tuning
    known = [model.trained.base_settings, *(choice.base_settings for choice in (tuning.choices if tuning else ()))]
    return changed_files(next(filter(None, known), {}), inputs.base_settings)


def _other_settings(then: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [name for name in wanted if then.get(name) != wanted.get(name)]


def _training(content: dict[str, Any], task: str, method: str, rate: float | None) -> dict[str, Any]:
    methods: dict[str, Any] = {
        name: options for name, options in (content.get("methods") or {}).items() if name == method
    }
    if rate is not None:
        methods[method] = {**methods.get(method, {}), "learning_rate": rate}
    tasks = {name: options for name, options in (content.get("tasks") or {}).items() if name == task}
    return {"all": content.get("all") or {}, "methods": methods, "tasks": tasks}


def _name(entry: str | dict[str, Any]) -> str:
    return entry if isinstance(entry, str) else str(entry["name"])
