"""Any number of methods against one reference: what each contrast says, and the correction over all of them."""

import numpy as np
import pytest
from scipy import stats

from repdrift.core.hypotheses import ABOVE_NOISE, ALIKE, INTERACTION, LESS, METHOD_CLAIMS, TARGET
from repdrift.core.records.results import DriftResults
from repdrift.drift import analyze
from repdrift.drift.inference import draw_conclusions
from repdrift.statistics import holm, holm_over_families, max_t_test
from tests.unit.drift.drift_tables import plan_of, table_of
from tests.unit.drift.study_on_disk import LAYERS, Study

ARMS = ("lora", "lora_r64", "dora")
LEVELS = {"full_finetune": (0.50, 0.60), "lora": (0.20, 0.30), "lora_r64": (0.45, 0.61), "dora": (0.49, 0.59)}


def drifts_of(levels, tasks=("a", "b"), seeds=3, spread=0.01):
    g = np.random.default_rng(0)
    return {
        (task, method): [[level + spread * g.normal() for level in by_layer] for _ in range(seeds)]
        for task in tasks
        for method, by_layer in levels.items()
    }


def conclusions(tmp_path, drifts, methods=tuple(LEVELS), **changes):
    tasks = list(dict.fromkeys(task for task, _ in drifts))
    plan = plan_of(
        tmp_path, tasks, methods=methods, comparison_methods=[m for m in methods if m != "full_finetune"], **changes
    )
    return draw_conclusions(table_of(drifts), plan)


def of(tests, hypothesis, task="all", layer=None):
    return {t.comparison: t for t in tests if (t.hypothesis, t.task, t.layer) == (hypothesis, task, layer)}


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return conclusions(tmp_path_factory.mktemp("arms"), drifts_of(LEVELS), equivalence_margin=1.25)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Each arm in a study without the other arms."""
    every = drifts_of(LEVELS)
    found = {}
    for arm in ARMS:
        drifts = {key: rows for key, rows in every.items() if key[1] in ("full_finetune", arm)}
        where = tmp_path_factory.mktemp(arm)
        found[arm] = conclusions(where, drifts, methods=("full_finetune", arm), equivalence_margin=1.25)
    return found


def test_every_arm_has_the_uncorrected_numbers_that_it_has_alone(several, alone):
    for arm in ARMS:
        ours = [r for r in several.reductions if r.comparison == arm]
        assert ours == alone[arm].reductions
        for test in alone[arm].tests:
            if test.method is None:
                (same,) = [
                    t for t in several.tests
                    if (t.hypothesis, t.task, t.layer, t.comparison) == (test.hypothesis, test.task, test.layer, arm)
                ]  # fmt: skip
                kept = (
                    "statistic",
                    "estimate",
                    "pvalue",
                    "opposite_pvalue",
                    "smallest_pvalue",
                    "n_units",
                    "interval",
                    "paired",
                )
                assert [getattr(same, name) for name in kept] == [getattr(test, name) for name in kept]
    assert [m.comparison for m in several.mixed_models] == list(ARMS)


def test_methods_on_the_same_tasks_may_be_compared(several):
    assert not [w for w in several.warnings if "must not be compared" in w]


@pytest.mark.parametrize("task", ["a", "b", "all"])
@pytest.mark.parametrize("hypothesis", [LESS, TARGET, ALIKE])
def test_a_claim_about_the_mean_over_layers_is_corrected_over_the_arms_by_holm(several, hypothesis, task):
    tests = of(several.tests, hypothesis, task)
    assert list(tests) == list(ARMS)
    raw = [t.pvalue for t in tests.values()]
    assert [t.deciding_pvalue for t in tests.values()] == pytest.approx(holm(raw))
    assert [t.deciding_opposite_pvalue for t in tests.values()] == pytest.approx(
        holm([t.opposite_pvalue for t in tests.values()])
    )
    assert {(t.correction, t.n_arms, t.family) for t in tests.values()} == {("Holm", 3, f"3 arms, {hypothesis}")}
    assert [t.smallest_deciding_pvalue for t in tests.values()] == pytest.approx(
        [3 * t.smallest_pvalue for t in tests.values()]
    )
    for t in tests.values():
        assert (t.verdict == "supported") == (t.deciding_pvalue <= 0.05)


@pytest.mark.parametrize("hypothesis", [LESS, TARGET])
def test_dunnetts_p_stands_beside_holms_and_is_that_of_scipy_on_one_task(several, hypothesis):
    tests = of(several.tests, hypothesis, "a")
    table = {method: np.log(np.mean(rows, axis=1)) for (task, method), rows in drifts_of(LEVELS).items() if task == "a"}
    margin = 0.0 if hypothesis == LESS else next(iter(tests.values())).margin
    expected = stats.dunnett(
        *(table[arm] for arm in ARMS),
        control=table["full_finetune"] + np.log(1 - margin),
        alternative="less",
        rng=np.random.default_rng(0),
    ).pvalue
    for test, single_step in zip(tests.values(), expected, strict=True):
        assert test.pvalue_dunnett <= single_step + 0.01, "step-down is never the larger"
        assert "Dunnett's test over the arms gives p " in test.sentence
    smallest = min(range(3), key=lambda k: expected[k])
    assert tests[ARMS[smallest]].pvalue_dunnett == pytest.approx(expected[smallest], abs=0.01)
    assert {t.pvalue_dunnett for t in several.tests if t.layer is not None or t.hypothesis == ALIKE} == {None}


def test_dunnetts_test_is_left_out_where_cells_have_unequal_numbers_of_models(tmp_path):
    drifts = drifts_of(LEVELS)
    drifts["a", "lora"] = drifts["a", "lora"][:2]
    assert {t.pvalue_dunnett for t in of(conclusions(tmp_path, drifts).tests, LESS).values()} == {None}


def test_layers_are_corrected_by_max_t_within_an_arm_and_by_holm_over_arms(several):
    table = drifts_of(LEVELS)
    within = []
    for arm in ARMS:
        a, b = (np.concatenate([table[task, method] for task in "ab"]) for method in (arm, "full_finetune"))
        within.append(
            max_t_test(a, b, strata=["a"] * 3 + ["b"] * 3 + ["a"] * 3 + ["b"] * 3, alternative="less").step_down
        )
    expected = dict(zip(ARMS, holm_over_families(within), strict=True))
    for layer in range(2):
        for arm, test in of(several.tests, LESS, layer=layer).items():
            assert test.deciding_pvalue == pytest.approx(expected[arm][layer])
            assert test.pvalue_max_t == test.deciding_pvalue
            assert (test.correction, test.n_arms) == ("max-T", 3)
            assert test.smallest_deciding_pvalue == pytest.approx(3 / 400)
            assert "corrected by max-T over 2 layers and Holm over 3 arms" in test.sentence


def test_smallest_p_after_correction_is_reached_by_arms_that_differ_as_much_as_can_be(tmp_path):
    levels = {"full_finetune": (0.9, 0.9), "lora": (0.1, 0.1), "lora_r64": (0.2, 0.2), "dora": (0.3, 0.3)}
    found = conclusions(tmp_path, drifts_of(levels))
    for layer in (None, 0, 1):
        for test in of(found.tests, LESS, layer=layer).values():
            assert test.deciding_pvalue == pytest.approx(test.smallest_deciding_pvalue) == pytest.approx(3 / 400)


def test_clusters_are_corrected_over_the_arms(several, alone):
    alone_p = {arm: [c.pvalue for c in alone[arm].clusters if c.hypothesis == LESS] for arm in ARMS}
    assert alone_p["lora"]
    found = {arm: [c for c in several.clusters if (c.hypothesis, c.comparison) == (LESS, arm)] for arm in ARMS}
    expected = holm_over_families([alone_p[arm] or [1.0] for arm in ARMS])
    for arm, values in zip(ARMS, expected, strict=True):
        assert [c.pvalue for c in found[arm]] == pytest.approx(values[: len(found[arm])])
        assert all(c.smallest_pvalue == pytest.approx(3 / 400) for c in found[arm])


def test_an_arm_with_too_few_models_neither_counts_in_the_correction_nor_is_called_equal(tmp_path):
    drifts = {("a", "full_finetune"): [[0.5]], ("a", "lora"): [[0.1]], ("b", "full_finetune"): [[0.5]] * 3}
    drifts |= {("b", "lora_r64"): [[0.1], [0.11], [0.12]], ("b", "dora"): [[0.2], [0.21], [0.22]]}
    tests = of(conclusions(tmp_path, drifts).tests, LESS)
    assert (tests["lora"].verdict, tests["lora"].n_arms) == ("not testable", 1)
    assert {tests[arm].n_arms for arm in ("lora_r64", "dora")} == {2}


def test_an_arm_that_is_missing_everywhere_is_named_and_no_number_is_made_for_it(tmp_path):
    drifts = {key: rows for key, rows in drifts_of(LEVELS).items() if key[1] != "dora"}
    found = conclusions(tmp_path, drifts)
    assert set(of(found.tests, LESS)) == {"lora", "lora_r64"}
    assert {t.n_arms for t in of(found.tests, LESS).values()} == {2}
    assert any("Task a has no DoRA run" in w for w in found.warnings)
    assert "dora" not in {r.comparison for r in found.reductions}


def test_an_arm_that_is_missing_on_one_task_is_compared_on_the_others(tmp_path):
    drifts = {key: rows for key, rows in drifts_of(LEVELS).items() if key != ("b", "dora")}
    found = conclusions(tmp_path, drifts)
    assert set(of(found.tests, LESS, "b")) == {"lora", "lora_r64"}
    assert "over 1 of 2 tasks (a)" in of(found.tests, LESS)["dora"].sentence
    assert of(found.tests, LESS)["lora"].n_arms == 3
    assert len([w for w in found.warnings if "Task b" in w]) == 1
    (caution,) = [w for w in found.warnings if "must not be compared" in w]
    assert "(LoRA and lora_r64: a and b; DoRA: a)" in caution


def test_without_the_reference_nothing_is_compared_and_it_is_said_once_for_a_task(tmp_path):
    drifts = {key: rows for key, rows in drifts_of(LEVELS).items() if key[1] != "full_finetune"}
    found = conclusions(tmp_path, drifts)
    assert not found.reductions
    assert [t for t in found.tests if t.hypothesis in (*METHOD_CLAIMS, ALIKE, INTERACTION)] == []
    assert [w for w in found.warnings if "Task a" in w] == [
        "Task a has no full fine-tuning run. It is left out of every comparison of methods."
    ]


def test_a_study_of_the_reference_alone_says_so(tmp_path):
    drifts = {key: rows for key, rows in drifts_of(LEVELS).items() if key[1] == "full_finetune"}
    found = conclusions(tmp_path, drifts, methods=("full_finetune",))
    assert not found.reductions
    assert "Full fine-tuning is the only method of this study, so no method is compared with another." in found.warnings


def test_unequal_numbers_in_one_arm_leave_max_t_to_the_others(tmp_path):
    drifts = drifts_of(LEVELS, seeds=4)
    drifts["a", "dora"] = drifts["a", "dora"][:3]
    tests = of(conclusions(tmp_path, drifts).tests, LESS, layer=0)
    assert {arm: t.correction for arm, t in tests.items()} == {"lora": "max-T", "lora_r64": "max-T", "dora": "Holm"}
    assert tests["dora"].pvalue_max_t is None
    assert "corrected by Holm over 2 layers and 3 arms" in tests["dora"].sentence


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """Four arms on the disk, analysed: two of LoRA, and one that drifts as the reference does."""
    root = tmp_path_factory.mktemp("four")
    study = Study(root, methods=tuple(LEVELS))
    plan = study.plan(comparison_methods=ARMS, method_words={"lora_r64": "LoRA, rank 64", "lora": "LoRA, rank 8"})
    analyze(plan, root / "out")
    return root / "out"


def test_results_of_several_arms_are_read_back_and_fall_apart_into_contrasts(analysed):
    results = DriftResults.read(analysed / "drift_analysis_results.json")
    assert results.study.contrasted == list(ARMS)
    for contrast, arm in zip(results.contrasts(), ARMS, strict=True):
        assert contrast.study.comparison_method == arm
        assert {r.comparison for r in contrast.reductions} == {r.comparison for r in contrast.other_measures} == {arm}
        assert {t.comparison for t in contrast.tests if t.method is None} == {arm}
        assert {t.method for t in contrast.tests if t.hypothesis == ABOVE_NOISE} == set(LEVELS)
        assert contrast.mixed_model is not None
        assert contrast.mixed_model.comparison == arm
    assert all(check.passed is not False for check in results.sanity if check.name == "methods are told apart")


def test_the_summary_answers_for_every_arm_in_the_order_of_the_study(analysed):
    text = (analysed / "drift_analysis_summary.md").read_text()
    lines = text.splitlines()
    assert lines[0] == "# Drift of tiny: LoRA, lora_r64 and DoRA against full fine-tuning"
    assert lines[2].startswith("**Of 3 methods at the end of training, ")
    first = lines[4:7]
    assert [line.split(" drift")[0].split("Whether ")[-1].strip("-* ") for line in first] == [
        "LoRA",
        "lora_r64",
        "DoRA",
    ]
    assert all("corrected by Holm over 3 arms" in line for line in first)
    assert text.count("(LoRA, rank 64)") == 1
    assert [line for line in lines if line.startswith("### ")] == [
        f"### {name} against full fine-tuning" for name in ("LoRA", "lora_r64", "DoRA")
    ]
    assert text.count("and over 3 arms by Holm") == 3


def test_results_of_older_versions_are_of_one_contrast(analysed):
    results = DriftResults.read(analysed / "drift_analysis_results.json").of_contrast("lora")
    older = results.model_dump(mode="json")
    older["study"] = {k: v for k, v in older["study"].items() if k not in ("comparison_methods", "method_words")}
    for name in ("reductions", "other_measures", "tests", "clusters"):
        older[name] = [{k: v for k, v in row.items() if k not in ("comparison", "n_arms")} for row in older[name]]
    del older["mixed_model"]["comparison"], older["other_mixed_models"]
    read = DriftResults.model_validate(older)
    assert read.study.contrasted == ["lora"]
    assert len(read.of_contrast("lora").reductions) == len(results.reductions) == (2 + 1) * (LAYERS + 1)
    assert len(read.of_contrast("lora").tests) == len(results.tests)


def test_any_method_can_be_the_reference(tmp_path):
    drifts = drifts_of(LEVELS)
    plan = plan_of(
        tmp_path,
        ["a", "b"],
        methods=tuple(LEVELS),
        reference_method="lora",
        comparison_methods=("full_finetune", "dora"),
    )
    found = draw_conclusions(table_of(drifts), plan)
    tests = of(found.tests, LESS)
    assert {arm: t.verdict for arm, t in tests.items()} == {"full_finetune": "rejected", "dora": "rejected"}
    assert "times as much as LoRA" in tests["dora"].sentence
    assert tests["dora"].deciding_opposite_pvalue == pytest.approx(2 / 400)
