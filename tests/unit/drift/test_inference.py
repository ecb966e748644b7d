"""What the analysis infers from representation sets: intervals, controls, layers, patterns."""

import numpy as np
import pytest
import torch

from repdrift.core.records.representation_set import RandomChange, changes_digest
from repdrift.core.records.results import SUMMARY_FILE
from repdrift.drift import PlannedSet, analyze
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.similarity import measure
from tests.unit.drift.study_on_disk import LAYERS, N, Study, write_set


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    root = tmp_path_factory.mktemp("inference")
    study = Study(root)
    for task in study.tasks:  # scores that fall with drift, so that there is something to correlate
        for method in study.methods:
            for seed in study.seeds:
                _score(study, task, method, seed, 0.9 - 0.01 * seed)
    results, table = analyze(study.plan(equivalence_margin=1.25), root / "out")
    return study, results, table, (root / "out" / SUMMARY_FILE).read_text()


def _tensors(folder):
    return [torch.load(folder / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]


def _score(study, task, method, seed, accuracy):
    folder = study.folder(task, method, seed)
    write_set(folder, task, method, seed, _tensors(folder), run_metrics={"accuracy": accuracy})


def test_every_default_measure_has_an_interval_around_its_drift(analysed):
    _, _, table, _ = analysed
    assert (table["interval"] == "jackknife").all()
    assert ((table["drift_low"] < table["drift"]) & (table["drift"] < table["drift_high"])).all()


def test_the_interval_of_a_reduction_is_the_jackknife_of_its_own_definition(analysed):
    study, results, _, _ = analysed
    cka, task = measure("cka"), "mrpc"
    base = _tensors(study.base(task))

    def reduction(keep):
        means = {}
        for method in study.methods:
            drifts = [
                1 - cka(b[keep], t[keep])
                for seed in study.seeds
                for b, t in zip(base, _tensors(study.folder(task, method, seed)), strict=True)
            ]
            means[method] = np.mean(drifts)
        return means["lora"] / means["full_finetune"]

    logs = np.log([reduction(np.arange(N) != i) for i in range(N)])
    error = np.sqrt((N - 1) / N * np.square(logs - logs.mean()).sum())
    ratio = reduction(np.arange(N) >= 0)
    (found,) = [r for r in results.reductions if r.task == task and r.layer is None]
    (interval,) = [i for i in found.intervals if i.over == "samples"]
    reach = np.exp(2.0226909 * error)  # Student's t, 39 degrees of freedom
    assert found.reduction == pytest.approx(1 - ratio)
    assert (interval.low, interval.high) == pytest.approx((1 - ratio * reach, 1 - ratio / reach), rel=1e-6)


def test_a_reduction_has_intervals_over_models_over_samples_and_over_both(analysed):
    _, results, _, summary = analysed
    (overall,) = [r for r in results.reductions if r.task == "all" and r.layer is None]
    by_source = {i.over: i for i in overall.intervals}
    assert set(by_source) == {"models", "samples", "models and samples"}
    assert all(i.low < overall.reduction < i.high for i in by_source.values())
    both, samples = by_source["models and samples"], by_source["samples"]
    assert both.high - both.low > samples.high - samples.low
    assert {e.name for e in overall.effects} == {"difference", "ratio", "log_ratio", "cliffs_delta"}
    (difference,) = overall.difference_intervals
    assert difference.low < overall.comparison_drift - overall.reference_drift < difference.high < 0
    assert "| all tasks | 0.402 | 0.144 | 64 % |" in summary
    assert {r.measure for r in results.other_measures} == {"cka_biased", "cosine", "cosine_centered"}


def test_layers_are_ranked_with_the_uncertainty_of_models_and_samples(analysed):
    _, results, _, _ = analysed
    for ranking in results.rankings:
        assert ranking.over == "models and samples"
        assert [layer.rank for layer in ranking.layers] == [3, 2, 1], "drift grows with depth here"
        assert [layer.may_be_largest for layer in ranking.layers] == [False, False, True]
        assert all(layer.rank_low <= layer.rank <= layer.rank_high for layer in ranking.layers)
    (cluster,) = [c for c in results.clusters if c.hypothesis == "comparison_drifts_less"]
    assert (cluster.first_layer, cluster.last_layer, cluster.pvalue) == (0, 2, pytest.approx(1 / 400))


def test_drift_is_tested_against_noise_and_against_what_lies_between_seeds(analysed):
    _, results, table, _ = analysed
    noise = [t for t in results.tests if t.hypothesis == "drift_above_identity"]
    assert {(t.method, t.layer) for t in noise} == {(m, k) for m in ("full_finetune", "lora") for k in (None, 0, 1, 2)}
    assert all(t.pvalue == t.smallest_pvalue == pytest.approx(1 / 16) for t in noise), (
        "three models in either task, all above"
    )
    assert all(t.n_units == 6 and t.verdict == "undecided" for t in noise)
    assert all("18 of 18" in t.sentence or "6 of 6" in t.sentence for t in noise)
    # Seeds are the base plus independent noise: two of them lie about twice as far apart as either from the base.
    ceiling = [t for t in results.tests if t.hypothesis == "drift_above_seed_ceiling" and t.layer is None]
    assert {t.verdict for t in ceiling} == {"undecided"}
    assert all(t.pvalue == 1 and t.estimate < 0 for t in ceiling)
    assert all(t.smallest_pvalue == pytest.approx(1 / 16) for t in ceiling)
    assert table["seed_ceiling_drift"].notna().all()


def test_a_base_model_that_all_seeds_left_together_is_beyond_the_seed_ceiling(tmp_path):
    study = Study(tmp_path, tasks=("a", "b", "c"), seeds=(1, 2, 3), methods=("full_finetune", "lora"))
    g = np.random.default_rng(5)
    for task in study.tasks:
        base = _tensors(study.base(task))
        shared = [b + g.normal(size=b.shape) for b in base]
        for method in study.methods:
            for seed in study.seeds:
                tuned = [s + 0.1 * g.normal(size=s.shape) for s in shared]
                write_set(study.folder(task, method, seed), task, method, seed, tuned)
    results, _ = analyze(study.plan(measures=("cka",)), tmp_path / "out")
    ceiling = [t for t in results.tests if t.hypothesis == "drift_above_seed_ceiling"]
    assert {t.pvalue for t in ceiling} == {1 / 64}
    assert {t.verdict for t in ceiling} == {"supported"}


def test_drift_against_score_is_within_tasks_and_methods(analysed):
    _, results, _, _ = analysed
    together = next(a for a in results.associations if a.method is None)
    assert together.metric == "accuracy"
    assert together.n_units == 12
    assert -1 <= together.correlation <= 1
    assert together.low is None, "three models a stratum give no interval"
    assert "accuracy, all methods" in together.sentence
    assert [(p.task, p.other_task) for p in results.profiles] == [("mrpc", "sst2")] * 2
    assert all(p.pearson > 0.9 for p in results.profiles)


def test_two_tasks_have_no_mixed_model_and_it_is_said_why(analysed):
    _, results, _, summary = analysed
    assert results.mixed_model.reduction is None
    assert results.mixed_model.missing in summary


def test_size_matched_random_change_is_a_control_beside_its_method(study, tmp_path):
    changes = []
    g = np.random.default_rng(9)
    for task in study.tasks:
        base = _tensors(study.base(task))
        for method, amount in (("full_finetune", 0.05), ("lora", 0.02)):
            folder = study.folder(task, method, 1).parent / "random_change"
            random = [b + amount * g.normal(size=b.shape) for b in base]
            _write_random(study, folder, task, method, random)
            changes.append(PlannedSet(task, method, 1, 0, folder, "make"))
    results, table = analyze(study.plan(random_changes=changes), tmp_path / "out")
    controls = [c for c in results.controls if c.name == "random_change" and c.measure == "cka"]
    assert len(controls) == 2 * 2 * LAYERS
    row = table[(table["task"] == "mrpc") & (table["method"] == "lora") & (table["measure"] == "cka")].iloc[0]
    base, random = (
        _tensors(f)[0] for f in (study.base("mrpc"), study.folder("mrpc", "lora", 1).parent / "random_change")
    )
    assert row["random_change_drift"] == pytest.approx(1 - measure("cka")(base, random), abs=1e-12)
    check = next(s for s in results.sanity if s.name == "drift is not that of a random change")
    assert check.passed
    assert "MRPC LoRA" in check.detail


def _write_random(study, folder, task, method, tensors):
    said = RandomChange(
        method=method, noise_seed=0, changes_digest=changes_digest(()), weights_moved=1, change_norm=1.0,
        largest_norm_error=0.0, not_moved=[],
    )  # fmt: skip
    write_set(folder, task, "random_change", 1, tensors, random_change=said, weights_digest="base0")


def test_without_bootstrap_or_groups_what_needs_them_is_missing_and_the_rest_stands(study, tmp_path):
    plan = study.plan(measures=("cka", "procrustes"), sampling=SamplingOptions(replicates=0, groups=0))
    results, table = analyze(plan, tmp_path / "out")
    assert results.rankings == []
    (overall,) = [r for r in results.reductions if r.task == "all" and r.layer is None]
    assert {i.over for i in overall.intervals} == {"models", "samples"}, (
        "debiased CKA has a formula for leaving one out"
    )
    (other,) = [r for r in results.other_measures if r.task == "all"]
    assert {i.over for i in other.intervals} == {"models"}
    assert any("no interval over samples" in note for note in other.notes)
    rows = table[table["measure"] == "procrustes"]
    assert rows[["drift_low", "drift_high", "interval"]].isna().all(axis=None)
    assert results.tests


def test_a_measure_without_a_formula_has_the_interval_of_groups_left_out(study, tmp_path):
    _, table = analyze(
        study.plan(measures=("cka", "procrustes"), sampling=SamplingOptions(replicates=0, groups=8)), tmp_path / "out"
    )
    rows = table[table["measure"] == "procrustes"]
    assert ((rows["drift_low"] < rows["drift"]) & (rows["drift"] < rows["drift_high"])).all()
