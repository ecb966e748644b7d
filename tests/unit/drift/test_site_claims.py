"""Conclusions by site from tables whose drifts are given number by number: arms, corrections, and models without a site."""

import numpy as np
import pandas as pd
import pytest

from repdrift.core.records.study_info import RunStatus
from repdrift.drift.inference.site_claims import site_drifts
from repdrift.drift.site_measurement import MeasuredSites
from repdrift.statistics import holm
from tests.unit.drift.drift_tables import plan_of, table_of
from tests.unit.drift.study_on_disk import judged

ARMS = ["full_finetune", "lora", "dora"]


def seeds(mean, count=3, spread=0.01):
    """Drifts of two layers for each seed."""
    return [[mean + spread * seed, 2 * mean + spread * seed] for seed in range(count)]


def table_of_sites(by_site):
    return pd.concat([table_of(drifts).assign(site=site) for site, drifts in by_site.items()], ignore_index=True)


def concluded(tmp_path, by_site, tasks=("a", "b"), statuses=(), **plan):
    table = table_of_sites(by_site)
    table["mispaired_value"] = table["seed_ceiling_drift"] = table["random_change_drift"] = np.nan
    measured = MeasuredSites(found={task: [site for site in by_site if site != "resid_post"] for task in tasks})
    options = {"methods": ARMS[:2], "comparison_methods": ("lora",), **plan}
    found = site_drifts(table, plan_of(tmp_path, list(tasks), **options), measured, {}, statuses)
    return {of.task: of for of in found}


def of_methods(means, tasks=("a", "b"), count=3):
    return {(task, method): seeds(mean, count) for task in tasks for method, mean in means.items()}


def test_claims_over_layers_are_corrected_over_sites_and_arms(tmp_path):
    means = {"full_finetune": 0.5, "lora": 0.2, "dora": 0.49}
    by_site = {site: of_methods(means) for site in ("resid_post", "attn_out", "mlp_out")}
    found = concluded(tmp_path, by_site, methods=ARMS, comparison_methods=("lora", "dora"))["all"]
    whole = [test for test in found.tests if test.layer is None]
    assert {(test.comparison, test.site) for test in whole} == {
        (arm, site) for arm in ("lora", "dora") for site in ("attn_out", "mlp_out")
    }
    lora = [test for test in whole if test.comparison == "lora"]
    assert {test.pvalue for test in lora} == {1 / 400}
    assert all(test.n_arms == 2 and test.verdict == "supported" for test in lora)
    assert all(test.deciding_pvalue == pytest.approx(2 * float(holm([1 / 400] * 2)[0])) for test in lora)
    assert "corrected by Holm over 2 sites and 2 arms" in lora[0].sentence
    by_place = [test for test in found.tests if test.layer is not None and test.comparison == "lora"]
    assert len(by_place) == 4
    assert all(test.correction == "max-T" and test.deciding_pvalue == pytest.approx(2 / 400) for test in by_place)
    assert "in the MLP output in layer 1" in by_place[-1].sentence


def test_attention_against_mlp_is_a_sign_flip_over_all_models(tmp_path):
    by_site = {
        "resid_post": of_methods({"full_finetune": 0.3, "lora": 0.3}),
        "attn_out": of_methods({"full_finetune": 0.5, "lora": 0.2}),
        "mlp_out": of_methods({"full_finetune": 0.2, "lora": 0.2}),
    }
    found = concluded(tmp_path, by_site)
    full, lora = found["all"].attention_or_mlp
    assert (full.n_models, full.pvalue, full.smallest_pvalue) == (6, 2 / 64, 2 / 64)
    assert full.difference == pytest.approx(0.3 * 1.5)
    assert lora.difference == 0
    assert lora.pvalue == 1
    assert full.intervals == [], "the differences do not vary, so an interval would have no width"
    assert found["a"].attention_or_mlp[0].pvalue == 2 / 8


def test_models_without_a_site_are_no_pairs_and_places_of_other_models_are_corrected_by_holm(tmp_path):
    means = {"full_finetune": 0.5, "lora": 0.2}
    fewer = {**of_methods(means), ("a", "lora"): seeds(0.2, 2)}
    found = concluded(tmp_path, {"resid_post": of_methods(means), "attn_out": of_methods(means), "mlp_out": fewer})
    _, lora = found["a"].attention_or_mlp
    assert lora.n_models == 2
    by_place = [test for test in found["all"].tests if test.layer is not None]
    assert {test.correction for test in by_place} == {"Holm"}
    assert len(by_place) == 4


def test_a_single_site_is_not_corrected_and_one_task_has_its_layers(tmp_path):
    means = {"full_finetune": 0.5, "lora": 0.2}
    by_site = {site: of_methods(means, ("a",)) for site in ("resid_post", "mlp_out")}
    found = concluded(tmp_path, by_site, ("a",))
    assert list(found) == ["a"]
    whole, *layers = found["a"].tests
    assert whole.correction is None
    assert whole.deciding_pvalue == whole.pvalue == 1 / 20
    assert [test.layer for test in layers] == [0, 1]
    assert found["a"].attention_or_mlp[0].missing == "attn_out was not measured"


def test_places_outside_the_blocks_have_no_layer_in_words_and_rounding_is_no_drift(tmp_path):
    trained = {("a", "full_finetune"): [[0.5]] * 3, ("a", "lora"): [[-2.2e-16]] * 3}
    by_site = {"resid_post": of_methods({"full_finetune": 0.5, "lora": 0.2}, ("a",)), "embeddings": trained}
    whole, place = concluded(tmp_path, by_site, ("a",))["a"].tests
    for test in (whole, place):
        assert "in the embeddings at the end of training" in test.sentence
        assert "mean drift 0 against 0.500" in test.sentence


def test_models_that_have_not_learnt_are_no_property_of_the_method_at_a_site_either(tmp_path):
    means = {"full_finetune": 0.5, "lora": 0.2}
    by_site = {site: of_methods(means, ("a",)) for site in ("resid_post", "attn_out", "mlp_out")}
    statuses = [
        RunStatus(task="a", method=method, seed=seed, step=0, status="ok", learnt=judged(method == "lora", 0.8))
        for method in means
        for seed in (1, 2, 3)
    ]
    (found,) = concluded(tmp_path, by_site, ("a",), statuses).values()
    assert {test.verdict for test in found.tests} == {"not testable"}
    assert all(test.pvalue is None for test in found.tests)


def test_a_table_without_sites_has_no_conclusions_about_them(tmp_path):
    by_site = {
        "resid_post": of_methods({"full_finetune": 0.5, "lora": 0.2}),
        "mlp_out": of_methods({"full_finetune": 0.5, "lora": 0.2}),
    }
    table = table_of_sites(by_site)
    assert site_drifts(table.drop(columns="site"), plan_of(tmp_path, ["a", "b"]), MeasuredSites(), {}) == []
