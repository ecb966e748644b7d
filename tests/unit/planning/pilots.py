"""Results of pilots whose drifts are given number by number."""

import pandas as pd

from repdrift.core.records.claims import Reduction
from repdrift.core.records.results import DRIFT_COLUMNS, DriftResults
from repdrift.core.records.study_info import RunStatus, StudyInfo
from repdrift.planning.pilot import pilots

METHODS = ("full_finetune", "lora")
A = [0.50, 0.54, 0.47], [0.40, 0.36, 0.41]
B = [0.30, 0.35, 0.33], [0.20, 0.19]
"""Drifts of full fine-tuning and of LoRA on two tasks."""


def pilot_results(drifts, *, layers=2, share=(0.5, 1.5), half_width=0.01, n=100):
    """Results and tidy table; drifts: {task: (of full fine-tuning, of LoRA)}, lists over seeds, None: no such model.

    A layer's drift is a `share` of the model's, raised to a power by layer so that the top layers spread more.
    """
    rows, runs, reductions = [], [], []
    for task, sides in drifts.items():
        for method, values in zip(METHODS, sides, strict=True):
            for seed, drift in enumerate(values or []):
                runs.append(RunStatus(task=task, method=method, seed=seed, step=0, status="ok"))
                for layer in range(layers):
                    value = _of_layer(drift, layer, share)
                    wide = None if half_width is None else half_width * (1 + layer + 10 * seed)
                    rows.append(
                        {
                            "task": task, "method": method, "seed": seed, "step": 0, "layer": layer, "measure": "cka", "n": n,
                            "value": None if value is None else 1 - value, "drift": value,
                            "drift_low": None if wide is None or value is None else value - wide,
                            "drift_high": None if wide is None or value is None else value + wide,
                        }
                    )  # fmt: skip
        if all(sides):
            for layer in (None, *range(layers)):
                found = [{str(s): _of_layer(d, layer, share) for s, d in enumerate(values)} for values in sides]
                reductions.append(
                    Reduction(
                        task=task, layer=layer, measure="cka", reduction=None, reduction_low=None, reference_drift=None,
                        comparison_drift=None, reference_by_seed=found[0], comparison_by_seed=found[1],
                    )
                )  # fmt: skip
    results = DriftResults(
        created="now", versions={}, runs=runs, reductions=reductions, tests=[], controls=[], sanity=[], warnings=[],
        study=StudyInfo(
            name="pilot", model="tiny", model_revision=None, tasks=list(drifts), methods=list(METHODS), seeds=[0, 1, 2],
            n_layers=layers, pooling="mean", primary_measure="cka", measures=["cka"], reference_method=METHODS[0],
            comparison_method=METHODS[1], target_reduction=0.2, alpha=0.05,
        ),
    )  # fmt: skip
    table = pd.DataFrame(rows, columns=list(DRIFT_COLUMNS))
    table = table.astype(dict.fromkeys(("value", "drift", "drift_low", "drift_high"), "float64") | {"n": "Int64"})
    return results, table


def _of_layer(drift, layer, share):
    return drift if layer is None or drift is None else share[layer] * drift ** (1 + layer)


def pilots_of(drifts, tasks=None, **options):
    """The pilots of `pilot_results`."""
    return pilots(pilot_results(drifts, **options)[0], tasks)
