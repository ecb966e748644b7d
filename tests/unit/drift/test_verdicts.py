import numpy as np
import pytest

from repdrift.core.hypotheses import ALIKE, INTERACTION, LESS, TARGET
from repdrift.drift.inference import draw_conclusions
from repdrift.statistics import holm, label_permutation_test, max_t_test
from tests.unit.drift.drift_tables import found_test, one_layer, plan_of, table_of


def reductions_and_tests(table, plan):
    found = draw_conclusions(table, plan)
    compared = [t for t in found.tests if t.method is None]
    return found.reductions, compared, found.warnings


@pytest.mark.parametrize(
    ("full", "lora", "less", "target"),
    [
        ([0.50, 0.51, 0.52, 0.53], [0.20, 0.21, 0.22, 0.23], "supported", "supported"),
        ([0.50, 0.51, 0.52, 0.53], [0.46, 0.47, 0.48, 0.49], "supported", "rejected"),
        ([0.50, 0.51, 0.52, 0.53], [0.60, 0.61, 0.62, 0.63], "rejected", "rejected"),
        ([0.50, 0.55, 0.60, 0.65], [0.40, 0.45, 0.50, 0.55], "undecided", "undecided"),
    ],
)
def test_verdict_follows_the_data(tmp_path, full, lora, less, target):
    _, tests, _ = reductions_and_tests(table_of(one_layer(full, lora)), plan_of(tmp_path, ["t"]))
    assert (found_test(tests, LESS).verdict, found_test(tests, TARGET).verdict) == (less, target)


def test_no_support_is_not_a_rejection_and_says_which_p_speaks(tmp_path):
    _, tests, _ = reductions_and_tests(
        table_of(one_layer([0.50, 0.51, 0.52, 0.53], [0.60, 0.61, 0.62, 0.63])), plan_of(tmp_path, ["t"])
    )
    said = found_test(tests, LESS).sentence
    assert said.startswith(
        "These models contradict that LoRA drifts less over all tasks at the end of training (p = 0.014, for the opposite claim): "
    )
    assert "19 % more than full fine-tuning (95 % interval of the reduction" in said


def test_three_against_three_in_one_task_cannot_reach_one_per_cent_and_says_so(tmp_path):
    table = table_of(one_layer([0.50, 0.51, 0.52], [0.10, 0.11, 0.12]))
    _, tests, _ = reductions_and_tests(table, plan_of(tmp_path, ["t"], alpha=0.01))
    found = found_test(tests, LESS)
    assert found.verdict == "undecided"
    assert found.pvalue == found.smallest_pvalue == pytest.approx(1 / 20)
    assert "No result of 6 trained models could have reached 0.01: the smallest possible p is 0.05." in found.sentence


def test_one_seed_is_not_testable_in_one_task_but_five_tasks_of_one_seed_are(tmp_path):
    _, tests, _ = reductions_and_tests(table_of(one_layer([0.5], [0.1])), plan_of(tmp_path, ["t"]))
    assert found_test(tests, LESS).verdict == "not testable"
    assert "cannot be tested with 2 trained models" in found_test(tests, LESS).sentence
    tasks = [*"abcde"]
    many = {k: v for task in tasks for k, v in one_layer([0.5], [0.1], task).items()}
    _, tests, _ = reductions_and_tests(table_of(many), plan_of(tmp_path, tasks))
    assert found_test(tests, LESS, "a").verdict == "not testable"
    assert found_test(tests, LESS).verdict == "supported"
    assert found_test(tests, LESS).pvalue == pytest.approx(1 / 32)


def test_layer_verdicts_rest_on_p_corrected_over_layers(tmp_path):
    # Layer 0: complete separation, p = 1/70; five layers without a difference. Holm asks for 6/70, the maximum over layers
    # under the 70 arrangements, of which no other separates any layer, for 1/70.
    full = [[0.5 + 0.01 * s, *[0.3 + 0.01 * ((s + k) % 4) for k in range(5)]] for s in range(4)]
    lora = [[0.1 + 0.01 * s, *[0.3 + 0.01 * ((s + 2 * k) % 4) for k in range(5)]] for s in range(4)]
    table = table_of({("t", "full_finetune"): full, ("t", "lora"): lora})
    _, tests, _ = reductions_and_tests(table, plan_of(tmp_path, ["t"]))
    layers = [t for t in tests if t.layer is not None and t.hypothesis == LESS]
    assert layers[0].pvalue == layers[0].pvalue_max_t == pytest.approx(1 / 70)
    assert layers[0].pvalue_holm == pytest.approx(6 / 70)
    assert [t.verdict for t in layers] == ["supported", *["undecided"] * 5]
    assert "(p = 0.014, corrected by max-T over 6 layers)" in layers[0].sentence
    assert all(t.pvalue <= t.pvalue_max_t <= t.pvalue_holm for t in layers)
    raw = []
    for layer in range(6):
        here = table[table["layer"] == layer]
        groups = [np.log(here[here["method"] == m]["drift"]) for m in ("lora", "full_finetune")]
        raw.append(label_permutation_test(*groups).pvalue)
    assert [t.pvalue for t in layers] == pytest.approx(raw)
    assert [t.pvalue_holm for t in layers] == pytest.approx(holm(raw))
    lora_table, full_table = (np.array(drifts) for drifts in (lora, full))
    opposite = max_t_test(np.log(lora_table), np.log(full_table), alternative="greater").step_down
    assert [t.deciding_pvalue for t in layers] == [t.pvalue_max_t for t in layers]
    assert [t.deciding_opposite_pvalue for t in layers] == pytest.approx(opposite)
    assert [t.smallest_deciding_pvalue for t in layers] == pytest.approx([1 / 70] * 6)


def test_pooled_test_compares_within_tasks(tmp_path):
    # lora is below full in either task, but task b's lora is far above task a's full: labels must not cross tasks.
    drifts = one_layer([0.10, 0.11, 0.12], [0.05, 0.06, 0.07], "a") | one_layer(
        [0.90, 0.91, 0.92], [0.80, 0.81, 0.82], "b"
    )
    reductions, tests, _ = reductions_and_tests(table_of(drifts), plan_of(tmp_path, ["a", "b"]))
    assert found_test(tests, LESS).pvalue == pytest.approx(1 / 400)
    (overall,) = [r for r in reductions if r.task == "all" and r.layer is None]
    assert overall.reduction == pytest.approx(1 - (0.06 + 0.81) / (0.11 + 0.91))
    assert overall.reference_by_seed == pytest.approx({"1": 0.5, "2": 0.51, "3": 0.52})


def test_task_with_more_seeds_does_not_count_for_more(tmp_path):
    drifts = one_layer([0.2] * 6, [0.1] * 6, "a") | one_layer([0.8] * 2, [0.6] * 2, "b")
    reductions, _, _ = reductions_and_tests(table_of(drifts), plan_of(tmp_path, ["a", "b"]))
    (overall,) = [r for r in reductions if r.task == "all" and r.layer is None]
    assert overall.reduction == pytest.approx(1 - 0.35 / 0.5)


def test_every_reduction_has_its_bound_where_the_design_gives_one(tmp_path):
    drifts = one_layer([0.50, 0.51, 0.52], [0.20, 0.21, 0.22])
    reductions, _, _ = reductions_and_tests(table_of(drifts), plan_of(tmp_path, ["t"]))
    assert {(r.task, r.layer) for r in reductions} == {("t", None), ("t", 0), ("all", None), ("all", 0)}
    assert all(0.5 < r.reduction_low < r.reduction for r in reductions)
    reductions, _, _ = reductions_and_tests(table_of(drifts), plan_of(tmp_path, ["t"], alpha=0.01))
    assert all(r.reduction_low is None for r in reductions)


def test_reference_without_drift_has_no_reduction(tmp_path):
    reductions, tests, _ = reductions_and_tests(
        table_of(one_layer([0.0, 0.0, 0.0], [0.1, 0.2, 0.3])), plan_of(tmp_path, ["t"])
    )
    assert all(r.reduction is None and r.reduction_low is None for r in reductions)
    assert "not comparable as a ratio" in found_test(tests, LESS).sentence


def test_unequal_numbers_of_models_rest_on_holm_and_a_studentised_test(tmp_path):
    full = [[0.50 + 0.01 * s, 0.40 + 0.01 * s] for s in range(5)]
    lora = [[0.10 + 0.01 * s, 0.39 + 0.01 * s] for s in range(3)]
    table = table_of({("t", "full_finetune"): full, ("t", "lora"): lora})
    _, tests, warnings = reductions_and_tests(table, plan_of(tmp_path, ["t"]))
    layers = [t for t in tests if t.layer is not None and t.hypothesis == LESS]
    assert all(t.pvalue_max_t is None and t.test == "studentised label permutation of log drift" for t in layers)
    raw, opposite = [], []
    for layer in range(2):
        here = table[table["layer"] == layer]
        groups = [here[here["method"] == m]["drift"] for m in ("lora", "full_finetune")]
        raw.append(label_permutation_test(*groups, studentise=True).pvalue)
        opposite.append(label_permutation_test(*groups, studentise=True, alternative="greater").pvalue)
    assert [t.pvalue for t in layers] == pytest.approx(raw)
    assert [t.deciding_pvalue for t in layers] == pytest.approx(holm(raw))
    assert [t.deciding_opposite_pvalue for t in layers] == pytest.approx(holm(opposite))
    assert [t.smallest_deciding_pvalue for t in layers] == [2 * t.smallest_pvalue for t in layers]
    assert {t.correction for t in layers} == {"Holm"}
    assert layers[0].verdict == "supported"
    assert any("unequal numbers of trained models" in w for w in warnings)


@pytest.mark.parametrize(
    ("lora", "verdict"),
    [
        ([0.49, 0.50, 0.51, 0.52], "supported"),
        ([0.20, 0.21, 0.22, 0.23], "rejected"),
        ([0.36, 0.40, 0.45, 0.48], "undecided"),
    ],
)
def test_alike_is_a_claim_of_its_own_and_not_the_failure_to_find_a_difference(tmp_path, lora, verdict):
    plan = plan_of(tmp_path, ["t"], equivalence_margin=1.25)
    _, tests, _ = reductions_and_tests(table_of(one_layer([0.50, 0.51, 0.52, 0.53], lora)), plan)
    found = found_test(tests, ALIKE)
    assert (found.verdict, found.margin) == (verdict, 1.25)
    assert found.estimate == pytest.approx(sum(lora) / 2.06)
    assert "within a factor of 1.25" in found.sentence


def test_seeds_trained_under_both_methods_are_tested_as_pairs_too(tmp_path):
    _, tests, _ = reductions_and_tests(
        table_of(one_layer([0.50, 0.60, 0.70], [0.45, 0.55, 0.65])), plan_of(tmp_path, ["t"])
    )
    found = found_test(tests, LESS)
    assert (found.paired.pvalue, found.paired.smallest_pvalue, found.paired.n_pairs) == (1 / 8, 1 / 8, 3)
    assert found.pvalue > found.paired.pvalue, "the level of the seeds hides the difference from the unpaired test"
    _, tests, _ = reductions_and_tests(table_of(one_layer([0.5, 0.6, 0.7], [0.45, 0.55])), plan_of(tmp_path, ["t"]))
    assert found_test(tests, LESS).paired is None


def test_a_reduction_that_differs_between_tasks_is_found_and_named(tmp_path):
    drifts = one_layer([0.50, 0.51, 0.52], [0.25, 0.26, 0.27], "a") | one_layer(
        [0.50, 0.51, 0.52], [0.47, 0.48, 0.49], "b"
    )
    _, tests, _ = reductions_and_tests(table_of(drifts), plan_of(tmp_path, ["a", "b"]))
    found = found_test(tests, INTERACTION)
    assert (found.verdict, found.smallest_pvalue) == ("supported", None)
    assert "49 % on a, 5.9 % on b" in found.sentence
    _, tests, _ = reductions_and_tests(table_of(one_layer([0.5, 0.6], [0.4, 0.5])), plan_of(tmp_path, ["t"]))
    assert not [t for t in tests if t.hypothesis == INTERACTION], "one task has no interaction"


def test_methods_whose_models_spread_unlike_are_named_and_like_ones_are_not(tmp_path):
    even = one_layer([0.50, 0.55, 0.60, 0.52], [0.30, 0.33, 0.36, 0.31])
    _, _, warnings = reductions_and_tests(table_of(even), plan_of(tmp_path, ["t"]))
    assert not any("spread" in w for w in warnings)
    wide = one_layer([0.50, 0.51, 0.52, 0.505], [0.10, 0.30, 0.60, 0.20])
    _, _, warnings = reductions_and_tests(table_of(wide), plan_of(tmp_path, ["t"]))
    (said,) = [w for w in warnings if "spread" in w]
    assert said.startswith("Models of LoRA spread 4")
    assert "those of full fine-tuning" in said
