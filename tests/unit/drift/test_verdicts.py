import pandas as pd
import pytest

from repdrift.drift.hypotheses import reductions_and_tests
from repdrift.drift.plan import BaseSets, DriftPlan
from repdrift.statistics import holm, label_permutation_test


def _plan(tmp_path, tasks, **changes):
    options = {
        "study": "s", "model": None, "tasks": tasks, "methods": ["full_finetune", "lora"], "seeds": [1, 2, 3], "sets": [],
        "bases": {t: BaseSets(tmp_path, tmp_path, "make") for t in tasks}, "measures": ("cka",), "target_reduction": 0.2, "alpha": 0.05,
    }  # fmt: skip
    return DriftPlan(**{**options, **changes})


def _table(drifts):
    """drifts: {(task, method): [one list of layers' drifts for each seed]}."""
    return pd.DataFrame(
        [
            {"task": task, "method": method, "seed": seed, "step": 0, "layer": layer, "measure": "cka", "drift": drift}
            for (task, method), seeds in drifts.items()
            for seed, layers in enumerate(seeds, start=1)
            for layer, drift in enumerate(layers)
        ]
    )


def _one_layer(full, lora, task="t"):
    return {(task, "full_finetune"): [[d] for d in full], (task, "lora"): [[d] for d in lora]}


def _whole(tests, hypothesis, task="all"):
    (found,) = [t for t in tests if t.hypothesis == hypothesis and t.task == task and t.layer is None]
    return found


LESS, TARGET = "comparison_drifts_less", "reduction_exceeds_target"


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
    _, tests, _ = reductions_and_tests(_table(_one_layer(full, lora)), _plan(tmp_path, ["t"]))
    assert (_whole(tests, LESS).verdict, _whole(tests, TARGET).verdict) == (less, target)


def test_no_support_is_not_a_rejection_and_says_which_p_speaks(tmp_path):
    _, tests, _ = reductions_and_tests(
        _table(_one_layer([0.50, 0.51, 0.52, 0.53], [0.60, 0.61, 0.62, 0.63])), _plan(tmp_path, ["t"])
    )
    said = _whole(tests, LESS).sentence
    assert "contradicted by these models (p = 1; of the opposite, p = 0.0143)" in said
    assert "(19.4 % more)" in said


def test_three_against_three_in_one_task_cannot_reach_one_per_cent_and_says_so(tmp_path):
    table = _table(_one_layer([0.50, 0.51, 0.52], [0.10, 0.11, 0.12]))
    _, tests, _ = reductions_and_tests(table, _plan(tmp_path, ["t"], alpha=0.01))
    found = _whole(tests, LESS)
    assert found.verdict == "undecided"
    assert found.pvalue == found.smallest_pvalue == pytest.approx(1 / 20)
    assert "with 6 trained models no result could have reached 0.01, the smallest possible p is 0.05" in found.sentence


def test_one_seed_is_not_testable_in_one_task_but_five_tasks_of_one_seed_are(tmp_path):
    _, tests, _ = reductions_and_tests(_table(_one_layer([0.5], [0.1])), _plan(tmp_path, ["t"]))
    assert _whole(tests, LESS).verdict == "not testable"
    assert "cannot be tested with 2 trained models" in _whole(tests, LESS).sentence
    tasks = [*"abcde"]
    many = {k: v for task in tasks for k, v in _one_layer([0.5], [0.1], task).items()}
    _, tests, _ = reductions_and_tests(_table(many), _plan(tmp_path, tasks))
    assert _whole(tests, LESS, "a").verdict == "not testable"
    assert _whole(tests, LESS).verdict == "supported"
    assert _whole(tests, LESS).pvalue == pytest.approx(1 / 32)


def test_layer_verdicts_rest_on_p_corrected_over_layers(tmp_path):
    # Layer 0: complete separation, p = 1/70 < 0.05; five layers without a difference; 6/70 after Holm is not below 0.05.
    full = [[0.5 + 0.01 * s, *[0.3 + 0.01 * ((s + k) % 4) for k in range(5)]] for s in range(4)]
    lora = [[0.1 + 0.01 * s, *[0.3 + 0.01 * ((s + 2 * k) % 4) for k in range(5)]] for s in range(4)]
    table = _table({("t", "full_finetune"): full, ("t", "lora"): lora})
    _, tests, _ = reductions_and_tests(table, _plan(tmp_path, ["t"]))
    layers = [t for t in tests if t.layer is not None and t.hypothesis == LESS]
    assert layers[0].pvalue == pytest.approx(1 / 70)
    assert layers[0].pvalue_holm == pytest.approx(6 / 70)
    assert layers[0].verdict == "undecided"
    assert "0.0857 corrected for 6 layers" in layers[0].sentence
    assert "no result could have reached 0.05 after correction" in layers[0].sentence
    raw = []
    for layer in range(6):
        here = table[table["layer"] == layer]
        groups = [here[here["method"] == m]["drift"] for m in ("lora", "full_finetune")]
        raw.append(label_permutation_test(*groups).pvalue)
    assert [t.pvalue for t in layers] == pytest.approx(raw)
    assert [t.pvalue_holm for t in layers] == pytest.approx(holm(raw))


def test_pooled_test_compares_within_tasks(tmp_path):
    # lora is below full in either task, but task b's lora is far above task a's full: labels must not cross tasks.
    drifts = _one_layer([0.10, 0.11, 0.12], [0.05, 0.06, 0.07], "a") | _one_layer(
        [0.90, 0.91, 0.92], [0.80, 0.81, 0.82], "b"
    )
    reductions, tests, _ = reductions_and_tests(_table(drifts), _plan(tmp_path, ["a", "b"]))
    assert _whole(tests, LESS).pvalue == pytest.approx(1 / 400)
    (overall,) = [r for r in reductions if r.task == "all" and r.layer is None]
    assert overall.reduction == pytest.approx(1 - (0.06 + 0.81) / (0.11 + 0.91))
    assert overall.reference_by_seed == pytest.approx({"1": 0.5, "2": 0.51, "3": 0.52})


def test_task_with_more_seeds_does_not_count_for_more(tmp_path):
    drifts = _one_layer([0.2] * 6, [0.1] * 6, "a") | _one_layer([0.8] * 2, [0.6] * 2, "b")
    reductions, _, _ = reductions_and_tests(_table(drifts), _plan(tmp_path, ["a", "b"]))
    (overall,) = [r for r in reductions if r.task == "all" and r.layer is None]
    assert overall.reduction == pytest.approx(1 - 0.35 / 0.5)


def test_every_reduction_has_its_bound_where_the_design_gives_one(tmp_path):
    drifts = _one_layer([0.50, 0.51, 0.52], [0.20, 0.21, 0.22])
    reductions, _, _ = reductions_and_tests(_table(drifts), _plan(tmp_path, ["t"]))
    assert {(r.task, r.layer) for r in reductions} == {("t", None), ("t", 0), ("all", None), ("all", 0)}
    assert all(0.5 < r.reduction_low < r.reduction for r in reductions)
    reductions, _, _ = reductions_and_tests(_table(drifts), _plan(tmp_path, ["t"], alpha=0.01))
    assert all(r.reduction_low is None for r in reductions)


def test_reference_without_drift_has_no_reduction(tmp_path):
    reductions, tests, _ = reductions_and_tests(
        _table(_one_layer([0.0, 0.0, 0.0], [0.1, 0.2, 0.3])), _plan(tmp_path, ["t"])
    )
    assert all(r.reduction is None and r.reduction_low is None for r in reductions)
    assert "not comparable as a ratio" in _whole(tests, LESS).sentence
