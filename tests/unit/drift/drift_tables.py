"""Tidy tables whose drifts are given number by number, and the plan of their analysis."""

import pandas as pd

from repdrift.drift.analysis_plan import BaseSets, DriftPlan


def plan_of(tmp_path, tasks, **changes):
    options = {
        "study": "s", "model": None, "tasks": tasks, "methods": ["full_finetune", "lora"], "seeds": [1, 2, 3], "sets": [],
        "bases": {t: BaseSets(tmp_path, tmp_path, "make") for t in tasks}, "measures": ("cka",), "target_reduction": 0.2, "alpha": 0.05,
    }  # fmt: skip
    return DriftPlan(**{**options, **changes})


def table_of(drifts):
    """drifts: {(task, method): [one list of layers' drifts for each seed]}."""
    return pd.DataFrame(
        [
            {
                "task": task,
                "method": method,
                "seed": seed,
                "step": 0,
                "layer": layer,
                "measure": "cka",
                "value": 1 - drift,
                "drift": drift,
                "noise_floor": float("nan"),
            }
            for (task, method), seeds in drifts.items()
            for seed, layers in enumerate(seeds, start=1)
            for layer, drift in enumerate(layers)
        ]
    )


def one_layer(full, lora, task="t"):
    return {(task, "full_finetune"): [[d] for d in full], (task, "lora"): [[d] for d in lora]}


def found_test(tests, hypothesis, task="all"):
    (found,) = [t for t in tests if t.hypothesis == hypothesis and t.task == task and t.layer is None]
    return found
