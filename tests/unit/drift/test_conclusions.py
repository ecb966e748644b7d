"""What the inference says where a claim has no meaning, a number is missing, or the design falls short."""

import re

import numpy as np
import pandas as pd
import pytest

from repdrift.core.hypotheses import ALIKE, INTERACTION, LESS, TARGET
from repdrift.core.words import pvalue
from repdrift.drift import PlannedSet, analyze
from repdrift.drift.inference import draw_conclusions
from repdrift.drift.resampled_drift import ResampledDrifts
from repdrift.drift.sample_intervals import SamplingOptions
from tests.unit.drift.drift_tables import found_test, one_layer, plan_of, table_of
from tests.unit.drift.skill_studies import run_of, study_of
from tests.unit.drift.study_on_disk import LAYERS, N, P, Study, write_set

NEGATIVE = ([-0.0010, -0.0011, -0.0012, -0.0013], [-0.010, -0.011, -0.012, -0.013])


def _overall(found, layer=None):
    (of_all,) = [r for r in found.reductions if r.task == "all" and r.layer == layer]
    return of_all


def test_no_share_of_a_drift_that_is_not_above_zero_is_claimed(tmp_path):
    found = draw_conclusions(table_of(one_layer(*NEGATIVE)), plan_of(tmp_path, ["t"], equivalence_margin=1.25))
    assert found_test(found.tests, LESS).verdict == "supported", "less is less, below 0 too"
    of_target = [t for t in found.tests if t.hypothesis == TARGET]
    assert [t.layer for t in of_target] == [None, None, 0]
    assert {t.verdict for t in of_target} == {"not testable"}
    assert all(t.pvalue is t.opposite_pvalue is t.pvalue_holm is t.pvalue_max_t is None for t in of_target)
    assert "cannot be tested: the mean drift of full fine-tuning is not above 0" in of_target[0].sentence
    alike = found_test(found.tests, ALIKE)
    assert (alike.verdict, alike.pvalue, alike.margin) == ("not testable", None, 1.25)
    assert "there is no ratio" in alike.sentence


def test_an_interaction_without_logarithms_is_named_and_not_left_out(tmp_path):
    drifts = one_layer([0.5, 0.6, 0.7], [0.2, 0.3, 0.4], "a") | one_layer([0.5, 0.6, 0.7], [-0.01, 0.3, 0.4], "b")
    found = draw_conclusions(table_of(drifts), plan_of(tmp_path, ["a", "b"]))
    test = found_test(found.tests, INTERACTION)
    assert (test.verdict, test.pvalue, test.n_units) == ("not testable", None, 12)
    assert "the drift of some model is not above 0, so it has no logarithm" in test.sentence
    assert _overall(found).reduction_low is None
    assert any("no lower bound: a trained model's drift is below 0" in note for note in _overall(found).notes)


def test_a_single_model_is_not_said_to_be_studentised(tmp_path):
    found = draw_conclusions(table_of(one_layer([0.50, 0.51, 0.52], [0.10])), plan_of(tmp_path, ["t"]))
    assert found_test(found.tests, LESS).test == "label permutation of log drift"
    (warning,) = [w for w in found.warnings if "unequal numbers" in w]
    assert "No permutation test with this task can weigh" in warning


@pytest.fixture(scope="module")
def twelve_pairs(tmp_path_factory):
    """4 against 4 in three tasks: 343,000 arrangements, all visited by a single test, 100,000 of them drawn for max-T."""
    drifts = {
        (task, method): [[level + 0.01 * seed, level + 0.02 * seed] for seed in range(4)]
        for task in "abc"
        for method, level in (("full_finetune", 0.5), ("lora", 0.1))
    }
    return draw_conclusions(table_of(drifts), plan_of(tmp_path_factory.mktemp("plan"), list("abc")))


def test_least_p_of_a_layer_is_that_of_max_t_where_arrangements_are_drawn(twelve_pairs):
    layer = next(t for t in twelve_pairs.tests if t.layer == 0 and t.hypothesis == LESS)
    assert layer.pvalue_max_t == layer.deciding_pvalue == pytest.approx(1 / 100_001)
    assert layer.smallest_pvalue == pytest.approx(1 / 343_000)
    assert layer.smallest_deciding_pvalue == pytest.approx(1 / 100_001)
    assert "this design can reach after correction is below 0.0001." in layer.sentence


def test_every_p_of_a_sentence_is_one_of_its_record(twelve_pairs, tmp_path):
    full = [[0.50 + 0.01 * s, 0.40 + 0.01 * s] for s in range(5)]
    lora = [[0.70 + 0.01 * s, 0.39 + 0.01 * s] for s in range(3)]
    by_holm = draw_conclusions(table_of({("t", "full_finetune"): full, ("t", "lora"): lora}), plan_of(tmp_path, ["t"]))
    tests = [t for t in [*twelve_pairs.tests, *by_holm.tests] if t.pvalue is not None]
    assert {t.correction for t in tests} == {None, "max-T", "Holm"}
    assert {t.verdict for t in tests} == {"supported", "rejected", "undecided"}
    for test in tests:
        decided = re.search(
            r"\(p (?:= )?((?:< )?[^ ,)]+)(?:, corrected by (\S+) over \d+ layers)?(, for the opposite claim)?\)",
            test.sentence,
        )
        deciding = test.deciding_opposite_pvalue if test.verdict == "rejected" else test.deciding_pvalue
        assert decided[1] == pvalue(deciding)
        assert (decided[2], decided[3] is not None) == (test.correction, test.verdict == "rejected")
        smallest = re.search(
            r"smallest (?:possible p|p that this design can reach)(?: after correction)? is ((?:below )?\S+?)\.$",
            test.sentence,
        )
        assert (None if smallest is None else smallest[1].replace("below", "<")) == pvalue(
            test.smallest_deciding_pvalue, missing=None
        )


def test_drifts_without_an_interval_are_not_counted_as_intervals_that_reach_the_noise(tmp_path):
    table = table_of(one_layer([0.50, 0.51, 0.52], [0.10, 0.20, 0.30]))
    table["noise_floor"], table["drift_low"] = 0.01, np.nan
    sentences = [
        t.sentence
        for t in draw_conclusions(table, plan_of(tmp_path, ["t"])).tests
        if t.hypothesis == "drift_above_identity"
    ]
    assert sentences
    assert all("there is no interval over samples" in s and "0 of" not in s for s in sentences)
    table.loc[table["drift"] == 0.50, "drift_low"] = 0.4
    sentence = next(
        t.sentence for t in draw_conclusions(table, plan_of(tmp_path, ["t"])).tests if t.method == "full_finetune"
    )
    assert "1 of 1 intervals over samples lie wholly above" in sentence


def test_a_seed_that_a_task_lacks_has_no_mean_over_tasks(tmp_path):
    drifts = one_layer([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], "a") | one_layer([0.9, 0.9], [0.9, 0.9, 0.9], "b")
    of_all = _overall(draw_conclusions(table_of(drifts), plan_of(tmp_path, ["a", "b"])))
    assert of_all.reference_by_seed == {"1": pytest.approx(0.5), "2": pytest.approx(0.5), "3": None}
    assert of_all.comparison_by_seed["3"] == pytest.approx(0.5)


def _draws(layers=(0,), **by_method):
    """Draws of one task; by_method: (models, B) replicates at layer 0, which are what is left out too."""
    models = [(method, seed) for method, rows in by_method.items() for seed in range(1, len(rows) + 1)]
    values = np.concatenate([np.asarray(rows, dtype=float) for rows in by_method.values()])
    by_layer = dict.fromkeys(layers, values)
    return ResampledDrifts(models, list(layers), bootstrap=by_layer, delete_group=by_layer)


@pytest.mark.parametrize("method", ["percentile", "jackknife"])
def test_a_draw_in_which_the_reference_does_not_drift_leaves_no_interval_of_the_reduction(tmp_path, method):
    g = np.random.default_rng(0)
    full, lora = 0.05 + 0.06 * g.normal(size=(3, 400)), 0.04 + 0.001 * g.normal(size=(3, 400))
    assert (full.mean(axis=0) < 0).any(), "its ratio to lora's drift is finite, and negative"
    plan = plan_of(tmp_path, ["t"], sampling=SamplingOptions(replicates=400, method=method))
    table = table_of(one_layer([0.049, 0.050, 0.051], [0.040, 0.041, 0.042]))
    draws = {("t", "cka"): _draws(full_finetune=full, lora=lora)}
    of_all = _overall(draw_conclusions(table, plan, draws=draws))
    assert "samples" not in {i.over for i in of_all.intervals}
    assert of_all.difference_intervals, "a difference has a value in every draw"
    assert any("not above 0 in some of the draws" in note for note in of_all.notes)
    draws = {("t", "cka"): _draws(full_finetune=np.abs(full) + 0.01, lora=lora)}
    assert "samples" in {i.over for i in _overall(draw_conclusions(table, plan, draws=draws)).intervals}


def test_every_interval_that_is_not_there_has_a_note(tmp_path):
    notes = _overall(draw_conclusions(table_of(one_layer([0.5], [0.1])), plan_of(tmp_path, ["t"]))).notes
    for over in ("models", "samples", "models and samples"):
        assert any(note.startswith(f"no interval over {over}:") for note in notes)
    without = ResampledDrifts([("full_finetune", 1), ("lora", 1)], [0])
    notes = _overall(
        draw_conclusions(table_of(one_layer([0.5], [0.1])), plan_of(tmp_path, ["t"]), draws={("t", "cka"): without})
    ).notes
    assert any("drifts were not drawn anew" in note for note in notes), "not: a ratio without a value"


def test_a_ranking_does_not_depend_on_the_order_of_the_table(tmp_path):
    # Tasks of two and three seeds whose layers go opposite ways: replicates beside the wrong models would show.
    profiles = {"a": ([0.1, 0.5, 0.9], 2), "b": ([0.6, 0.3, 0.1], 3)}
    drifts = {
        (task, "lora"): [[drift + 0.001 * seed for drift in profile] for seed in range(seeds)]
        for task, (profile, seeds) in profiles.items()
    }
    table, draws, noise = table_of(drifts), {}, 0.02 * np.random.default_rng(3).normal(size=(3, 400))
    for (task, _), seeds in drifts.items():
        found = ResampledDrifts([("lora", s + 1) for s in range(len(seeds))], [0, 1, 2])
        for layer in range(3):
            found.bootstrap[layer] = np.array([[seed[layer]] for seed in seeds]) + (task == "a") * noise[layer]
        draws[task, "cka"] = found
    plan = plan_of(tmp_path, ["a", "b"])
    forwards = draw_conclusions(table, plan, draws=draws).rankings
    backwards = draw_conclusions(table.sort_values("task", ascending=False, kind="stable"), plan, draws=draws).rankings
    assert forwards == backwards
    assert [(r.rank_low, r.rank_high) for r in forwards[0].layers] == [(3, 3), (2, 2), (1, 1)]


def test_a_task_with_checkpoints_only_does_not_fail_the_numerical_floor(tmp_path):
    study = Study(tmp_path, seeds=(1,))
    coarse = {"compute_dtype": "bfloat16"}
    g, sets = np.random.default_rng(2), []
    for task, step in zip(study.tasks, (5, 0), strict=True):
        base = [g.normal(size=(N, P)) + 5 for _ in range(LAYERS)]
        write_set(study.base(task), task, "base", None, base, **coarse)
        write_set(study.identity(task), task, "base", None, [b + 1e-3 * g.normal(size=b.shape) for b in base], **coarse)
        for method in study.methods:
            folder = study.folder(task, method, 1).parent / f"step_{step:06d}"
            tuned = [b + g.normal(size=b.shape) for b in base]
            write_set(folder, task, method, 1, tuned, step=step, **coarse)
            sets.append(PlannedSet(task, method, 1, step, folder, "make"))
    options = SamplingOptions(replicates=0, groups=0)
    results, _ = analyze(study.plan(sets=sets, measures=("cka",), sampling=options), tmp_path / "out")
    check = next(s for s in results.sanity if s.name == "drift is above the numerical floor")
    assert check.passed
    assert "nan" not in check.detail


def test_a_loss_that_drift_is_held_against_is_said_to_be_better_where_it_is_less(tmp_path):
    runs = [
        run_of("t", m, s, [3.0 - 0.1 * s], [0.1 * s], metric="loss")
        for m in ("full_finetune", "lora")
        for s in (1, 2, 3)
    ]
    table, statuses = study_of(runs)
    found = draw_conclusions(table, plan_of(tmp_path, ["t"]), statuses=statuses).associations
    together = next(a for a in found if a.method is None)
    assert (together.metric, together.correlation) == ("loss", pytest.approx(-1.0))
    assert together.sentence.startswith(
        "Drift against loss (less is better), all methods, within tasks and methods: rank correlation -1.00"
    )


def test_rows_of_other_sites_take_part_in_no_claim(tmp_path):
    table = table_of(one_layer([0.50, 0.51, 0.52], [0.40, 0.41, 0.42]))
    plan = plan_of(tmp_path, ["t"])
    inside = table.assign(site="mlp_out", drift=0.01)
    both = pd.concat([table.assign(site="resid_post"), inside], ignore_index=True)
    assert draw_conclusions(both, plan) == draw_conclusions(table, plan)
