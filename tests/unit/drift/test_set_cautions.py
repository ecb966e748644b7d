"""Cautions about sets: runs and checkpoints that changed nothing."""

import pandas as pd

from repdrift.drift.set_cautions import set_cautions
from tests.unit.drift.drift_tables import plan_of


def _table(drifts):
    """drifts: {seed: {step: (drift, above noise)}}."""
    rows = [
        {"task": "t", "method": "lora", "seed": seed, "step": step, "layer": layer, "measure": "cka", "drift": drift, "above_noise": above}
        for seed, of_run in drifts.items()
        for step, (drift, above) in of_run.items()
        for layer in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"above_noise": "boolean"})


def test_the_first_checkpoints_may_stand_still_and_later_ones_and_final_models_may_not(tmp_path):
    moved, still, faint = (0.1, True), (0.0, False), (1e-5, False)
    table = _table(
        {
            1: {1: still, 2: faint, 5: moved, 0: moved},  # the rate rises from zero
            2: {1: moved, 5: still, 0: moved},  # a checkpoint that was not loaded
            3: {1: still, 5: still, 0: still},  # a training that did nothing: said once, for the final model
            4: {5: moved, 0: faint},
        }
    )
    said = set_cautions([], [], table, plan_of(tmp_path, ["t"], seeds=[1, 2, 3, 4]))
    assert len(said) == 2
    assert said[0].startswith("2 runs (t, LoRA, seed 2, step 5; t, LoRA, seed 3, step 0): drift is exactly zero")
    assert said[1].startswith("t, LoRA, seed 4, step 0: drift is above the noise of extraction in no layer")
