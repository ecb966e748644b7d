"""Two methods against each other in what they did to the weights, where they changed different matrices."""

from types import SimpleNamespace

import pytest

from repdrift.core.records.weights import ModelWeightsMoved, RunWeightsMoved, WeightMoved
from repdrift.core.study_weights_words import contrast_sentence
from repdrift.core.weight_groups import whole_group
from repdrift.drift.weight_contrasts import contrasts


def matrix(module, intruders, change=1.0):
    return WeightMoved(
        layer=0, module=module, kind="other", outputs=16, inputs=16, norm=1.0, change_norm=change, k=10, intruders=intruders
    )  # fmt: skip


def contrast(of_full, of_lora):
    plan = SimpleNamespace(
        reference_method="full_finetune", comparison_methods=["lora"], tasks=["sst2"],
        sampling=SimpleNamespace(confidence=0.95),
    )  # fmt: skip
    models, runs = [], []
    for method, weights in (("full_finetune", of_full), ("lora", of_lora)):
        for seed in range(3):
            at = {"task": "sst2", "method": method, "seed": seed, "step": 0}
            models.append(
                (SimpleNamespace(**at), ModelWeightsMoved(leading=10, intruder_cosine=0.5, weights=weights(seed)))
            )
            runs.append(RunWeightsMoved(**at, whole=whole_group(weights(seed)), kinds=[], layers=[]))
    return next((c for c in contrasts(runs, models, plan) if c.quantity == "intruder_share"), None)


def test_intruders_are_compared_in_the_matrices_that_both_methods_changed():
    diluted = contrast(
        lambda _: [matrix("q", 1), matrix("up", 0)], lambda _: [matrix("q", 1), matrix("up", 0, change=0.0)]
    )
    assert (diluted.estimate, diluted.p) == (0.0, None), "one intruder in the one matrix that both changed"
    elsewhere = contrast(lambda seed: [matrix("q", seed % 2), matrix("up", 9)], lambda seed: [matrix("q", 3 + seed)])
    assert elsewhere.estimate == pytest.approx(0.4 - 0.1 / 3)
    assert elsewhere.p == elsewhere.smallest_p == pytest.approx(2 / 20)
    assert "in the matrices that all of these models changed on a task is +36.67 [" in contrast_sentence(elsewhere)


def test_methods_without_a_common_matrix_have_no_share_to_compare():
    assert contrast(lambda _: [matrix("up", 1)], lambda _: [matrix("q", 1)]) is None
