"""Ends of commands for studies and comparisons that were never run, and what holds for every one of them."""

import re

from rich.cells import cell_len

from repdrift.core.records.comparison import BaseLayer, ComparedModel, Comparison, LayerDrift
from repdrift.report.glance import Screen, comparison_glance, study_glance

PLACES = {"summary": "out/summary.md", "results": "out/results.json"}
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def study_end(study, screen=None):
    """The lines at the end of a synthetic study."""
    table = study.table()
    return study_glance(study.results(table), table, PLACES, screen or Screen(100))


def comparison_end(result, screen=None):
    """The lines at the end of a comparison."""
    return comparison_glance(result, PLACES, screen or Screen(100))


def fits(lines, screen, *, ascii_only=False):
    """Checks what holds for every end: 25 lines, none wider than the screen, none that a terminal would obey."""
    assert len(lines) <= 25, "\n".join(lines)
    for line in lines:
        assert cell_len(line) <= screen.width, line
        assert not OBEYED.search(line), line
    if ascii_only:
        assert "\n".join(lines).isascii()


def compared(name, drifts, **changes):
    """A model with these drifts by layer, all above noise and with an interval."""
    layers = [
        LayerDrift(
            layer=layer, rows=40, drift=drift, drift_low=drift - 0.01, drift_high=drift + 0.01, values={"cka": 1 - drift}, above_noise=True
        )
        for layer, drift in enumerate(drifts)
    ]  # fmt: skip
    fields = {"name": name, "ref": name, "kind": "full model", "status": "compared", "layers": layers}
    return ComparedModel(**{**fields, "mean_drift": sum(drifts) / len(drifts) if drifts else None, **changes})


def comparison(*models, **changes):
    """A comparison of these models with a base of as many layers."""
    depth = max((len(model.layers) for model in models), default=0)
    base = [
        BaseLayer(layer=i, noise_floor=1e-6, top_feature_share=0.1, participation_ratio=9.0, largest_activation=3.0) for i in range(depth)
    ]  # fmt: skip
    fields = {
        "created": "2026-01-01", "versions": {}, "base": "base", "base_revision": None, "base_digest": "0", "data": "texts.txt",
        "task": "texts", "samples": 40, "control_samples": 40, "tokens": 400, "truncated_samples": 0, "sample_set_fingerprint": "f",
        "pooling": "mean", "compute_dtype": "float32", "accumulated": "rows", "base_layers": base, "models": list(models), "between": [],
        "warnings": [], "wall_time_s": 1.0,
    }  # fmt: skip
    return Comparison(**{**fields, **changes})
