"""Tests of drift by site in a study whose sets hold sites, tuned by known amounts."""

import numpy as np
import pandas as pd
import pytest

from repdrift.core.records.representation_set import RandomChange, changes_digest
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, DriftResults
from repdrift.core.study_site_words import study_sites
from repdrift.drift import PlannedSet, analyze
from repdrift.drift.sample_drift import place_shares
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.drift.what_moved import samples
from repdrift.similarity import measure
from repdrift.stores import open_set
from tests.unit.drift.study_with_sites import AMOUNTS, LAYERS, SiteStudy, places, write

RESIDUAL_ONLY = ("resid_post",)
FEWER = SamplingOptions(replicates=400)


def of_task(results, task):
    (found,) = [of for of in results.sites if of.task == task]
    return found


def of_method(found, method):
    (pair,) = [each for each in found.attention_or_mlp if each.method == method]
    return pair


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return SiteStudy(tmp_path_factory.mktemp("sites"), tasks=("a", "b"))


@pytest.fixture(scope="module")
def analysed(study):
    results, table = analyze(study.plan(sections=("likeness",)), study.root / "out")
    return results, table


def rows(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def test_every_site_has_every_measure_at_every_layer_it_has(analysed):
    _, table = analysed
    cells = table.groupby(["site", "measure"]).size().to_dict()
    models = 2 * 2 * 3
    for measure_name in ("cka", "cosine", "relative_change"):
        for site in ("resid_post", "attn_out", "mlp_out"):
            assert cells[site, measure_name] == models * LAYERS
        for site in ("embeddings", "final_norm"):
            assert cells[site, measure_name] == models
    assert set(rows(table, site="embeddings")["layer"]) == {-1}
    assert set(rows(table, site="final_norm")["layer"]) == {LAYERS}


def test_values_are_those_of_the_stored_rows(study, analysed):
    _, table = analysed
    base, tuned = open_set(study.folder("a", "base")), open_set(study.folder("a", "lora2"))
    x, y = (stored.at("mlp_out", 1).double().numpy() for stored in (base, tuned))
    (row,) = rows(table, task="a", method="lora", seed=2, site="mlp_out", layer=1, measure="cka").to_dict("records")
    assert row["drift"] == pytest.approx(1 - debiased_cka(x, y), abs=1e-9)
    assert row["drift_low"] < row["drift"] < row["drift_high"]
    (change,) = rows(table, task="a", method="lora", seed=2, site="mlp_out", layer=1, measure="relative_change")[
        "value"
    ]
    assert change == pytest.approx(np.linalg.norm(y - x) / np.linalg.norm(x))


def debiased_cka(x, y):
    """The unbiased HSIC of centred features, written out: Song et al. 2012, eq. 5."""

    def hsic(k, m):
        n, ones = len(k), np.ones(len(k))
        np.fill_diagonal(k, 0)
        np.fill_diagonal(m, 0)
        middle = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + middle - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3))

    k, m = x @ x.T, y @ y.T
    return hsic(k.copy(), m.copy()) / np.sqrt(hsic(k.copy(), k.copy()) * hsic(m.copy(), m.copy()))


def test_sites_beside_the_residual_stream_change_nothing_else(study, analysed, tmp_path):
    results, table = analysed
    bare = SiteStudy(tmp_path, tasks=("a", "b"))
    for task in bare.tasks:
        for name in ("base", "identity", *(f"{m}{s}" for m in ("full_finetune", "lora") for s in (1, 2, 3))):
            strip(bare.folder(task, name))
    without, plain = analyze(bare.plan(sections=("likeness",)), tmp_path / "out")
    assert results.moved.likeness is not None
    names = (
        "moved",
        "reductions",
        "tests",
        "clusters",
        "rankings",
        "profiles",
        "controls",
        "other_measures",
        "mixed_model",
    )
    for name in names:
        assert getattr(without, name) == getattr(results, name), name
    residual = table[(table["site"] == "resid_post") & (table["measure"] != "relative_change")].reset_index(drop=True)
    pd.testing.assert_frame_equal(residual, plain)
    assert without.sites == []
    assert study_sites(without) is None


def test_samples_stand_out_in_layers_by_the_number_of_layers(study, tmp_path, monkeypatch):
    looked_through: dict[str, set[int]] = {}

    def shares(place, *args, tests, **named):
        looked_through.setdefault(place.site, set()).add(tests)
        return place_shares(place, *args, tests=tests, **named)

    monkeypatch.setattr(samples, "place_shares", shares)
    analyze(study.plan(sections=("samples",)), tmp_path / "out")
    assert looked_through == {
        "resid_post": {2},
        "attn_out": {6},
        "mlp_out": {6},
        "embeddings": {6},
        "final_norm": {6},
    }


def strip(folder):
    """Takes all sites but the residual stream out of a set, as an older version would have written it."""
    from tests.resealed import edit_record

    def residual(content):
        content["files"] = {name: digest for name, digest in content["files"].items() if name.startswith("layer_")}
        for name in ("sites", "site_layers", "sites_left_out"):
            content.pop(name)

    edit_record(folder / "metadata.json", residual)


def test_controls_of_sites_are_kept_apart_and_complete(analysed):
    results, _ = analysed
    assert {c.site for c in results.controls} == {"resid_post"}
    found = {(c.name, c.site) for c in results.site_controls if c.measure == "cka"}
    sites = ("attn_out", "mlp_out", "embeddings", "final_norm")
    assert found == {(name, site) for name in ("identity", "mispaired", "seed_ceiling") for site in sites}


def test_the_mlp_is_named_where_it_was_moved_more(analysed):
    results, _ = analysed
    pair = of_method(of_task(results, "all"), "full_finetune")
    assert pair.attention_drift < 0.02
    assert pair.mlp_drift > 0.2
    assert pair.difference == pytest.approx(pair.attention_drift - pair.mlp_drift)
    assert (pair.pvalue, pair.smallest_pvalue) == (2 / 64, 2 / 64)
    assert {interval.over for interval in pair.intervals} == {"models", "samples"}
    assert all(interval.high < 0 for interval in pair.intervals)
    answer = study_sites(results).answer[0]
    assert answer.startswith(
        "Attention or MLP, full fine-tuning over all tasks: the MLP output drifts more (p = 0.031, the smallest that 6 models can give)"
    )


def test_too_few_models_say_so_and_one_model_is_tested_over_samples(study, tmp_path):
    results, _ = analyze(study.plan(tasks=["a"], seeds=[1], sets=sets_of(study, ["a"], [1]), sampling=FEWER), tmp_path)
    pair = of_method(of_task(results, "a"), "lora")
    assert (pair.n_models, pair.over, pair.smallest_pvalue) == (1, "samples", None)
    assert pair.pvalue < 1e-6
    assert [interval.over for interval in pair.intervals] == ["samples"]
    (said,) = [line for line in study_sites(results).answer if line.startswith("Attention or MLP, LoRA")]
    assert "over samples, which tells nothing of other seeds" in said
    two, _ = analyze(
        study.plan(tasks=["a"], seeds=[1, 2], sets=sets_of(study, ["a"], [1, 2]), sampling=FEWER), tmp_path
    )
    (said,) = [line for line in study_sites(two).answer if line.startswith("Attention or MLP, LoRA")]
    assert "in these 2 models, too few to tell it of others (p = 0.5, the smallest that 2 models can give)" in said


def sets_of(study, tasks, seeds):
    return [each for each in study.plan().sets if each.task in tasks and each.seed in seeds]


def test_methods_are_compared_at_each_site_corrected_over_sites(analysed):
    results, _ = analysed
    found = of_task(results, "all")
    over_layers = {test.site: test for test in found.tests if test.layer is None}
    assert set(over_layers) == {"attn_out", "mlp_out", "final_norm"}, (
        "embeddings do not move, so no method moves them less"
    )
    for test in over_layers.values():
        assert (test.correction, test.verdict) == ("Holm", "supported")
        assert test.deciding_pvalue == pytest.approx(3 * test.pvalue)
    by_place = [test for test in found.tests if test.layer is not None]
    assert len(by_place) == 5
    assert all(test.correction == "max-T" and "5 places" in test.family for test in by_place)
    shares = {r.site: r.reduction for r in found.reductions if r.layer is None}
    assert shares["mlp_out"] == pytest.approx(1 - 0.0824 / 0.2641, abs=0.01)
    assert {i.over for r in found.reductions if r.site == "mlp_out" for i in r.intervals} >= {"models", "samples"}


def test_sets_without_a_site_are_named_in_every_output(tmp_path):
    without = {
        "identity": {"attn_out": ""},
        "lora2": {"mlp_out": ""},
        "base": {"final_norm": "it has no norm after its blocks"},
    }
    study = SiteStudy(tmp_path, without=without)
    results, table = analyze(study.plan(), tmp_path / "out")
    found = of_task(results, "t")
    assert "it has no norm after its blocks" in found.not_found["final_norm"]
    assert "final_norm" not in set(table["site"])
    of_site = {at.site: at for at in found.drifts if at.method == "lora"}
    assert of_site["attn_out"].noise_floor is None
    assert of_site["embeddings"].noise_floor is not None
    assert of_site["mlp_out"].n_models == 2
    summary = (tmp_path / "out" / SUMMARY_FILE).read_text()
    said = [*results.warnings, *study_sites(results).left_out]
    for words in ("there is no noise floor", "nothing is said of LoRA seed 2", "it has no norm after its blocks"):
        assert sum(words in line for line in said) >= 2
        assert words in summary


def test_a_site_that_is_constant_has_no_drift_and_says_why(tmp_path):
    study = SiteStudy(tmp_path, sites=("resid_post", "attn_out"), constant=("attn_out",))
    results, table = analyze(study.plan(), tmp_path / "out")
    assert "attn_out" in of_task(results, "t").not_found
    assert "attn_out" not in set(rows(table, measure="cka")["site"])
    pair = of_method(of_task(results, "t"), "lora")
    assert pair.missing == "attn_out was not measured"


def test_results_with_sites_are_read_back(study, analysed):
    results, _ = analysed
    again = DriftResults.read(study.root / "out" / RESULTS_FILE)
    assert again.sites == results.sites
    assert again.site_controls == results.site_controls


def test_relative_change_is_the_measures(analysed):
    results, table = analysed
    (of,) = [at for at in of_task(results, "a").drifts if (at.method, at.site) == ("lora", "attn_out")]
    here = rows(table, task="a", method="lora", site="attn_out", measure="relative_change")
    assert of.relative_change == pytest.approx(here["value"].mean())
    assert not measure("relative_change").higher_is_similar


def write_random_change(study, method, sites):
    """Writes the control of a run: the base model's rows with a tenth of their spread as noise."""
    g = np.random.default_rng(5)
    base = open_set(study.folder("t", "base"))
    rows = {place: base.at(*place).double().numpy() for place in places(sites)}
    moved = {place: values + 0.1 * values.std(axis=0) * g.normal(size=values.shape) for place, values in rows.items()}
    said = RandomChange(
        method=method, noise_seed=0, changes_digest=changes_digest(()), weights_moved=1, change_norm=1.0, largest_norm_error=0.0, not_moved=[],
    )  # fmt: skip
    folder = study.folder("t", f"random_{method}")
    write(folder, moved, "t", "random_change", 1, sites, random_change=said)
    return PlannedSet("t", method, 1, 0, folder, f"make random {method}")


def test_random_changes_are_a_control_at_sites_and_one_without_them_is_named(tmp_path):
    study = SiteStudy(tmp_path, seeds=(1, 2))
    changes = [
        write_random_change(study, "full_finetune", tuple(AMOUNTS)),
        write_random_change(study, "lora", ("resid_post", "attn_out")),
    ]
    results, table = analyze(
        study.plan(random_changes=changes, sampling=SamplingOptions(replicates=0)), tmp_path / "out"
    )
    final = rows(table, measure="cka", seed=1)
    full = rows(final, method="full_finetune", site="mlp_out", layer=0)["random_change_drift"].item()
    base, moved = (
        open_set(study.folder("t", name)).at("mlp_out", 0).double().numpy() for name in ("base", "random_full_finetune")
    )
    assert full == pytest.approx(1 - debiased_cka(base, moved), abs=1e-9)
    assert np.isnan(rows(final, method="lora", site="mlp_out", layer=0)["random_change_drift"].item())
    assert rows(final, method="lora", site="attn_out", layer=0)["random_change_drift"].item() > 0
    found = of_task(results, "t")
    assert any("MLP output: the control of a random change is missing for LoRA seed 1" in note for note in found.notes)
    controls = {(c.site, c.method) for c in results.site_controls if c.name == "random_change" and c.measure == "cka"}
    assert controls == {(site, "full_finetune") for site in AMOUNTS if site != "resid_post"} | {("attn_out", "lora")}
    (at,) = [each for each in found.drifts if (each.method, each.site) == ("full_finetune", "mlp_out")]
    assert at.random_change_drift > 0
