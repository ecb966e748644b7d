"""The checks that what lies here is what the published study was made of, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from repdrift.core.errors import SampleSetMismatchError
from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.run import other_settings
from repdrift.core.words import listed
from repdrift.models import changed_files
from repdrift.sharing.reproduction.published import PublishedModel, PublishedStudy
from repdrift.study.inputs import StudyInputs
from repdrift.training import TrainingJob

_NEXT = "Name the published study's data with --data-dir and its base model with --model."


def require_the_same(study: PublishedStudy, model: PublishedModel, inputs: StudyInputs) -> None:
    """Raises SampleSetMismatchError, with all that differs, unless base model, rows, settings and samples here are the published ones."""
    job, then = inputs.training_job(model.run), model.trained
    faults: list[str] = []
    if inputs.base.weights_digest() != then.base_digest:
        faults.append(f"the base model {inputs.base.ref} has other weights")
    elif changed := changed_files(known_settings(study, model), inputs.base_settings):
        faults.append(f"of the base model {inputs.base.ref}, {listed(changed)} differs")
    rows = job.training_rows()
    if rows.fingerprint != then.data_fingerprint:
        faults.append(
            f"the training rows are others ({len(rows.rows)} from {rows.source}; published: {then.n_train} from {then.data_source})"
        )
    wanted = job.hyperparameters()
    differing = [
        f"{name} {wanted.get(name)!r} in place of {then.hyperparameters.get(name)!r}"
        for name in other_settings(then.hyperparameters, wanted)
    ]
    if differing:
        faults.append(f"the settings are others: {listed(differing)}")
    if not faults and then.key not in _keys(study, model, job):
        faults.append(
            f"the validation rows are others ({then.n_validation} were published), or the task is scored in another way: the key of the run is another, though "
            "base model, training rows and settings agree"
        )
    samples = inputs.sample_set(model.run.task)
    if model.status.sample_set_fingerprint not in (None, samples.fingerprint):
        faults.append(
            f"drift was published for {model.status.n_samples} samples, and those of the data here are others ({len(samples)})"
        )
    _raise(model, faults)


def require_the_same_sets(study: PublishedStudy, model: PublishedModel, base: SetMetadata) -> None:
    """Raises SampleSetMismatchError unless the base model's set here is of the layers, pooling, number format and attention sinks that were published."""
    told, faults = study.results.study, list[str]()
    if base.layers != study.data.layers:
        faults.append(f"drift was published for layers {study.data.layers}, and here there are layers {base.layers}")
    for what, here, published in (
        ("pooling", base.pooling, told.pooling),
        ("tokens that are pooled", base.pool_over, told.pool_over),
        ("number format of the model", base.compute_dtype, told.compute_dtype or base.compute_dtype),
    ):
        if here != published:
            faults.append(f"the {what} is {here}, published: {published}")
    sinks, then = base.sinks, told.sinks.get(model.run.task)
    if then is not None and (sinks is None or sinks.digest != then.digest):
        faults.append("the attention sinks that the pooling leaves out are others")
    _raise(model, faults)


def known_settings(study: PublishedStudy, model: PublishedModel) -> dict[str, str]:
    """SHA-256 of the base model's settings and tokenizer files at the time, by name; empty where the results do not tell them."""
    tuning = study.results.tuning
    found = [model.trained.base_settings, *(choice.base_settings for choice in (tuning.choices if tuning else ()))]
    return next(filter(None, found), {})


def unknown_of(study: PublishedStudy, model: PublishedModel) -> list[str]:
    """Names what could not be held against the published study, since its results, of an older version, do not tell it."""
    unknown = [] if known_settings(study, model) else ["the base model's configuration and tokenizer"]
    return unknown + ([] if model.status.sample_set_fingerprint is not None else ["the samples"])


def _keys(study: PublishedStudy, model: PublishedModel, job: TrainingJob) -> Iterator[str]:
    """The key of the run, and those that it has under the names that its arm had before a merge."""
    yield job.key()
    for source in study.results.study.merged.sources if study.results.study.merged else ():
        for old, new in source.renamed.items():
            if new == model.run.method:
                yield replace(job, arm=replace(job.arm, name=old)).key()


def _raise(model: PublishedModel, faults: list[str]) -> None:
    if faults:
        raise SampleSetMismatchError(
            f"{model.name} cannot be made again here, and nothing was trained: {'; '.join(faults)}. {_NEXT}"
        )
