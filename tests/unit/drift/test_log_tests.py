"""Claims about methods are tested on log drift where every drift is above 0; bounds invert the same test; sentences say what was tested."""

import numpy as np
import pytest

from repdrift.core.errors import DegenerateInputError
from repdrift.core.hypotheses import ALIKE, INTERACTION, LESS, TARGET
from repdrift.drift.inference import draw_conclusions
from repdrift.statistics import equivalence_test, label_permutation_test, reduction_lower_bound
from tests.unit.drift.drift_tables import found_test, one_layer, plan_of, table_of

FULL, LORA = [0.30, 0.42, 0.35, 0.50], [0.16, 0.29, 0.21, 0.26]


def conclusions(drifts, tmp_path, **changes):
    tasks = list(dict.fromkeys(task for task, _ in drifts))
    return draw_conclusions(table_of(drifts), plan_of(tmp_path, tasks, **changes))


def test_claims_are_tested_on_log_drift(tmp_path):
    found = conclusions(one_layer(FULL, LORA), tmp_path, equivalence_margin=1.25)
    less, target, alike = (found_test(found.tests, name) for name in (LESS, TARGET, ALIKE))
    logs = np.log(LORA), np.log(FULL)
    assert less.test == target.test == "label permutation of log drift"
    assert alike.test == "two one-sided label permutations of log drift"
    assert less.pvalue == label_permutation_test(*logs).pvalue
    assert less.statistic == pytest.approx(logs[0].mean() - logs[1].mean())
    assert target.pvalue == label_permutation_test(logs[0], logs[1] + np.log(0.8)).pvalue
    assert alike.pvalue == equivalence_test(LORA, FULL, factor=1.25, logarithm=True).pvalue
    assert "tested" not in less.sentence


@pytest.mark.parametrize("lowest", [0.0, -0.002])
def test_a_drift_that_is_not_above_zero_keeps_the_test_of_drift_and_says_so(tmp_path, lowest):
    lora = [lowest, *LORA[1:]]
    less = found_test(conclusions(one_layer(FULL, lora), tmp_path).tests, LESS)
    assert less.test == "label permutation of drift"
    assert less.pvalue == label_permutation_test(lora, FULL).pvalue
    assert "; tested on drift itself, not on its logarithm, since a drift is not above 0" in less.sentence


def test_a_factor_that_differs_from_the_reduction_of_means_is_said(tmp_path):
    drifts = one_layer([0.9, 1.0, 1.1], [0.88, 0.97, 1.05], "a") | one_layer(
        [0.01, 0.011, 0.012], [0.003, 0.0033, 0.0036], "b"
    )
    found = conclusions(drifts, tmp_path)
    factor = 1 - np.exp(np.mean([np.log([0.88 / 0.9, 0.97, 1.05 / 1.1]).mean(), np.log(0.3)]))
    less = found_test(found.tests, LESS)
    assert less.estimate is not None
    assert less.estimate < 0.06
    assert f"by the geometric mean over models and tasks, which is tested, {100 * factor:.0f} % less" in less.sentence
    (whole,) = [r for r in found.reductions if r.task == "all" and r.layer is None]
    assert whole.reduction_low is not None
    assert whole.reduction is not None
    assert whole.reduction_low > whole.reduction
    assert any("the lower bound is of the factor that is tested" in note for note in whole.notes)


@pytest.mark.parametrize(("m", "k", "strata"), [(4, 4, 1), (3, 5, 1), (3, 3, 2)])
def test_the_lower_bound_is_where_the_test_of_log_drift_stops_rejecting(m, k, strata):
    g = np.random.default_rng(m + k)
    full, lora = np.exp(g.normal(-1, 0.2, m * strata)), np.exp(g.normal(-2, 0.2, k * strata))
    labels = [s for s in range(strata) for _ in range(m)] + [s for s in range(strata) for _ in range(k)]
    swapped = [*labels[m * strata :], *labels[: m * strata]]
    bound = reduction_lower_bound(full, lora, strata=labels, logarithm=True)
    assert bound is not None

    def pvalue(margin):
        return label_permutation_test(np.log(lora), np.log((1 - margin) * full), strata=swapped).pvalue

    assert pvalue(bound - 1e-6) <= 0.05 < pvalue(bound + 1e-6)
    with pytest.raises(DegenerateInputError, match=r"comparison\[0\] is 0"):
        reduction_lower_bound(full, np.zeros(k * strata), strata=labels, logarithm=True)


def test_bound_and_verdict_about_the_target_agree(tmp_path):
    for factor in (0.5, 0.6, 0.7, 0.79, 0.85):
        found = conclusions(one_layer(FULL, [factor * drift for drift in FULL]), tmp_path)
        (whole,) = [r for r in found.reductions if r.task == "all" and r.layer is None]
        supported = found_test(found.tests, TARGET).verdict == "supported"
        assert supported == (whole.reduction_low is not None and whole.reduction_low >= 0.2)


def test_rounding_is_no_drift_that_a_test_could_rank(tmp_path):
    full, lora = [1e-16, 2e-16, 3e-16], [1e-17, -2e-17, 3e-17]
    less = found_test(conclusions(one_layer(full, lora), tmp_path).tests, LESS)
    assert (less.pvalue, less.verdict) == (1.0, "undecided")
    still = found_test(conclusions(one_layer(FULL, [0.0, 1e-17, -1e-17, 2e-16]), tmp_path).tests, LESS)
    assert still.pvalue == label_permutation_test([0.0] * 4, FULL).pvalue


def test_rounding_has_no_logarithm_that_tasks_could_differ_in(tmp_path):
    """LoRA does not move on either task: the rounding of one is ten times that of the other."""
    full = [0.3, 0.35, 0.32]
    drifts = one_layer(full, [1e-15, 1.1e-15, 1.2e-15], "a") | one_layer(full, [1e-16, 1.1e-16, 1.2e-16], "b")
    drifts |= one_layer(full, [1e-14, 1.1e-14, 1.2e-14], "c")
    found = conclusions(drifts, tmp_path)
    (tasks_differ,) = [t for t in found.tests if t.hypothesis == INTERACTION]
    said = "but for rounding, the drift of some model is not above 0, so it has no logarithm"
    assert tasks_differ.verdict == "not testable"
    assert said in tasks_differ.sentence
    assert found.mixed_models[0].missing == said
    whole = next(r for r in found.reductions if r.task == "all" and r.layer is None)
    effects = {e.name: e for e in whole.effects}
    assert (effects["log_ratio"].estimate, effects["log_ratio"].missing) == (None, said)
    assert effects["ratio"].estimate == 0.0
    assert not any(i.over == "models" for i in whole.intervals)
