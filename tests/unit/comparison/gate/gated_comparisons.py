"""Comparisons with chosen drifts and intervals, built without a model."""

import math

from repdrift.core.confidence import student_quantile
from repdrift.core.records.comparison import BaseLayer, ComparedModel, Comparison, DriftInterval, LayerDrift
from repdrift.core.records.output_changes import ModelOutputs, OutputChange


def layer(number, drift, error=None, rows=101, **more):
    """A layer whose drift has the standard error `error` of its logarithm; None: no interval."""
    reach = None if error is None else student_quantile(0.975, rows - 1) * error
    ends = {} if reach is None else {
        "drift_low": drift * math.exp(-reach), "drift_high": drift * math.exp(reach), "freedom": rows - 1.0,
    }  # fmt: skip
    return LayerDrift(layer=number, rows=rows, drift=drift, **{"values": {"cka": 1 - drift}, **ends, **more})


def further(low, high, freedom):
    return DriftInterval(low=low, high=high, freedom=freedom)


def model(name, layers=(), **more):
    known = {"ref": name, "kind": "full model", "status": "compared"} | more
    mean = sum(at.drift for at in layers) / len(layers) if layers else None
    return ComparedModel(name=name, layers=list(layers), mean_drift=mean, **known)


def change(outcome, value, *, low=None, high=None, freedom=None, inputs="task", difference=None, n=40, note=""):
    return OutputChange(
        outcome=outcome, title=outcome, unit="nats", inputs=inputs, value=value, difference=difference, low=low,
        high=high, freedom=freedom, n=n, n_groups=n, note=note,
    )  # fmt: skip


def outputs(*changes, left_out=()):
    return ModelOutputs(changes=list(changes), left_out=list(left_out))


def comparison(*models, samples=101, **more):
    known = {
        "created": "2026-01-02T03:04:05+00:00", "versions": {"repdrift": "0"}, "base": "base", "base_revision": None,
        "base_digest": "0", "data": "lines.txt", "task": "lines", "tokens": 9 * samples, "truncated_samples": 0,
        "sample_set_fingerprint": "f", "pooling": "mean", "compute_dtype": "float32", "accumulated": "rows",
        "base_layers": [
            BaseLayer(layer=k, noise_floor=None, top_feature_share=0.1, participation_ratio=9.0, largest_activation=1.0)
            for k in range(3)
        ],
        "between": [], "warnings": [], "wall_time_s": 1.0,
    } | more  # fmt: skip
    return Comparison(models=list(models), samples=samples, **known)
