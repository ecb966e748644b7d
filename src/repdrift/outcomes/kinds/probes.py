"""Probes: how well the task's classes can be read off each layer, of the tuned and of the base model.

They read the pooled rows that extraction has written, so no model is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.outcomes import ON_TASK, OutcomeInfo
from repdrift.outcomes.outcome import Measured, MeasuredItems, Subject, no_options, on_task, outcomes
from repdrift.outcomes.probe_fit import FOLDS, INNER_FOLDS, STRENGTHS, Floats, Labels, probe_fault, probe_hits
from repdrift.stores import RepresentationSet
from repdrift.stores.set_folder import layer_name

_PROBE = OutcomeInfo(
    name="probe",
    title="probe accuracy",
    unit="share of samples",
    higher_is_better=True,
)


class Probes:
    """Accuracy of a linear probe of the task's classes on each layer's rows, each sample by a probe that never saw it."""

    name = "probes"
    title = "Probes of each layer"
    usual = True
    shares_batches = False

    def options(self, given: object) -> dict[str, Any]:
        """Takes none."""
        return no_options(self.name, given)

    def that_count(self, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Returns none."""
        return {}

    def for_key(self, subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Returns the two sets, the samples' classes and groups, and how probes are fitted."""
        sets = {"base_set": subject.base_set, "tuned_set": subject.tuned_set}
        labels = subject.labels or {}
        return {
            **on_task(subject),
            **{name: None if stored is None else stored.metadata.key for name, stored in sets.items()},
            "classes": config_sha256({"of_samples": [labels.get(name) for name in subject.samples.sample_ids]}),
            "fit": [FOLDS, INNER_FOLDS, list(STRENGTHS)],
        }

    def applies(self, subject: Subject, options: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Returns why there are no probes: no classes, sets that are not there or of something else, or too few samples."""
        if subject.labels is None:
            return f"a probe reads classes off a layer, and the task is {subject.task_kind}, whose samples have none"
        for which, stored, source in (
            ("the base model", subject.base_set, subject.base),
            ("the trained model", subject.tuned_set, subject.tuned),
        ):
            if stored is None:
                return (
                    f"the representations of {which} are not there. Run `repdrift extract`, then `repdrift evaluate`."
                )
            told = _wrong_set(which, stored, subject, source.weights_digest())
            if told is not None:
                return f"{told}. Run `repdrift extract`, then `repdrift evaluate`."
        lacking = [name for name in subject.samples.sample_ids if name not in subject.labels]
        if lacking:
            return f"sample {lacking[0]!r} has no class"
        return probe_fault(_numbers(subject), subject.samples.groups)

    def measure(self, subject: Subject, options: Mapping[str, Any]) -> Measured:  # noqa: ARG002
        """Fit probes on every layer that both sets have."""
        assert subject.base_set is not None  # noqa: S101  `applies` looked
        assert subject.tuned_set is not None  # noqa: S101
        labels, samples = _numbers(subject), subject.samples
        layers = [layer for layer in subject.tuned_set.layers if layer in subject.base_set.layers]
        most = float(np.bincount(labels).max() / len(labels))
        return Measured(
            [
                MeasuredItems(
                    info=_PROBE,
                    inputs=ON_TASK,
                    ids=samples.sample_ids,
                    values=_hits(subject.tuned_set, layer, labels, subject),
                    base_values=_hits(subject.base_set, layer, labels, subject),
                    groups=samples.groups,
                    layer=layer,
                )
                for layer in layers
            ],
            notes=[
                f"A probe is a logistic regression on the pooled rows of one layer, in {FOLDS} parts; each sample is named by the probe that did not "
                f"see its part. The largest class is {100 * most:.0f} % of the samples, which a probe that reads nothing reaches."
            ],
        )


def _wrong_set(which: str, stored: RepresentationSet, subject: Subject, weights_digest: str) -> str | None:
    """Says what a set is of, if it is not of this model over these samples with a row for each."""
    metadata = stored.metadata
    if metadata.sample_set_fingerprint != subject.samples.fingerprint:
        return f"the representations of {which} in {stored.folder} are of other samples"
    if metadata.weights_digest != weights_digest:
        return f"the representations in {stored.folder} are of other weights than those of {which}"
    if metadata.shape[0] != len(subject.samples):
        return f"the representations in {stored.folder} have a row for each token, and a probe needs one for each sample: take another pooling"
    return None


def _numbers(subject: Subject) -> Labels:
    """The class of every sample as a number, from 0 in the order of the classes' kinds and names."""
    assert subject.labels is not None  # noqa: S101  asked for only where there are classes
    values = [subject.labels[name] for name in subject.samples.sample_ids]
    order = {value: i for i, value in enumerate(sorted(set(values), key=lambda v: (type(v).__name__, v)))}
    return np.array([order[value] for value in values], dtype=np.int64)


def _hits(stored: RepresentationSet, layer: int, labels: Labels, subject: Subject) -> Floats:
    """The hits of the probes on one layer; those of a layer with the same bytes were found before."""
    digest = stored.metadata.files[layer_name(layer, stored.metadata.payload)]
    rows = stored.layer(layer)  # read, and held to its checksum, even where its hits are known
    key = ("probe", digest)
    if key not in subject.shared:
        subject.shared[key] = probe_hits(rows.double().numpy(), labels, subject.samples.groups)
    return subject.shared[key]


outcomes.add(Probes.name, Probes())
