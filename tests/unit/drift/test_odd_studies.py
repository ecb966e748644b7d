"""Studies that are odd in what is there, in their numbers or in their names: no crash, and no number where there is none."""

import dataclasses
import re

import numpy as np
import pytest

from repdrift.core.errors import ConfigError, CorruptSetError, SampleSetMismatchError
from repdrift.core.records.results import RESULTS_FILE, DriftResults
from repdrift.drift import analyze
from repdrift.drift.sample_intervals import SamplingOptions
from tests.unit.drift.study_on_disk import Study, write_set

METHODS = ("full_finetune", "lora")
N = 12
FEW = SamplingOptions(replicates=0)


def small(root, tuned, *, tasks=("mrpc",), n=N, p=5, **fields):
    """A study of two layers and three seeds; tuned: from method, seed, base tensor and generator to a tensor."""
    study = Study(root, tasks=(), methods=METHODS)
    study.tasks = list(tasks)
    generator = np.random.default_rng(3)
    for task in tasks:
        base = [generator.normal(size=(n, p)) for _ in range(2)]
        said = {"layers": [0, 1], "shape": [n, p], "sample_ids": [str(i) for i in range(n)]} | fields
        write_set(study.base(task), task, "base", None, base, **said)
        write_set(study.identity(task), task, "base", None, [b + 1e-6 for b in base], **said)
        for method in METHODS:
            for seed in study.seeds:
                tensors = [tuned(method, seed, b, generator) for b in base]
                write_set(study.folder(task, method, seed), task, method, seed, tensors, **said)
    return study


def unchanged(method, seed, base, generator):
    return base


def noisy(method, seed, base, generator):
    return base + (0.6 if method == "full_finetune" else 0.3) * generator.normal(size=base.shape)


def analysed(study, **changes):
    out = study.root / "out"
    results, table = analyze(
        study.plan(**{"measures": ("cka",), "equivalence_margin": 1.25, "sampling": FEW, **changes}), out
    )
    text = (out / RESULTS_FILE).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert DriftResults.read(out / RESULTS_FILE) == results
    return results, table


def whole(results, hypothesis, method=None):
    return next(
        t for t in results.tests if (t.hypothesis, t.task, t.layer, t.method) == (hypothesis, "all", None, method)
    )


@pytest.mark.parametrize(
    ("digest", "said"),
    [("d0", "and another base model (each run names"), (None, "Not ruled out: another base model, for 6 of 6 runs")],
)
def test_much_drift_in_the_first_layer_says_what_was_ruled_out(tmp_path, digest, said):
    def far(method, seed, base, generator):
        return base + 3 * generator.normal(size=base.shape)

    study = small(tmp_path, far, weights_digest="d0", base_weights_digest=digest)
    (check,) = [s for s in analysed(study)[0].sanity if s.name == "first layer drifts little"]
    assert check.passed is False
    assert "6 of 6 final models drift by more than 0.3 there" in check.detail
    assert "one fingerprint of samples and tokens" in check.detail
    assert said in check.detail


def test_nothing_drifts_and_nothing_is_reduced(tmp_path):
    results, _ = analysed(small(tmp_path, unchanged))
    assert all(r.reduction is None and not r.intervals for r in results.reductions)
    assert whole(results, "reduction_exceeds_target").verdict == "not testable"
    assert {e.name for e in results.reductions[0].effects if e.estimate is not None} == {"difference", "cliffs_delta"}
    assert results.mixed_model is not None
    assert results.mixed_model.reduction is None
    (said,) = [w for w in results.warnings if "exactly zero" in w]
    assert said.startswith("6 runs (")
    assert "; and 3 more): drift is exactly zero in every layer" in said


def test_drifts_that_rounding_alone_could_make_have_no_ratio(tmp_path):
    def barely(method, seed, base, generator):
        return base + 1e-7 * generator.normal(size=base.shape)

    results, table = analysed(small(tmp_path, barely, tasks=("mrpc", "sst2")))
    drift = table[table["measure"] == "cka"]["drift"]
    assert 0 < drift.abs().max() < 1e-12
    assert all(r.reduction is None for r in results.reductions)
    assert not [t for t in results.tests if t.hypothesis == "reduction_exceeds_target" and t.pvalue is not None]
    assert not [c for c in results.clusters if c.hypothesis == "reduction_exceeds_target"]
    assert whole(results, "method_task_interaction").pvalue is None


@pytest.mark.parametrize("still", METHODS)
def test_one_method_changes_nothing(tmp_path, still):
    def tuned(method, seed, base, generator):
        return base if method == still else noisy(method, seed, base, generator)

    results, _ = analysed(small(tmp_path, tuned))
    overall = next(r for r in results.reductions if r.task == "all" and r.layer is None)
    if still == "lora":
        assert overall.reduction == pytest.approx(1, abs=1e-12)
        assert whole(results, "comparison_drifts_less").pvalue == 0.05
    else:
        assert overall.reduction is None
        assert whole(results, "comparison_drifts_less").verdict == "rejected"


def test_a_ratio_of_exact_zeros_has_no_interval(tmp_path):
    """One feature: the cosine of a sample is the product of two signs, so that only a change of sign is drift."""

    def tuned(method, seed, base, generator):
        signs = np.ones_like(base)
        signs[: seed if method == "full_finetune" else 0] = -1
        return signs * base

    results, table = analysed(small(tmp_path, tuned, p=1), measures=("cosine",), primary_measure="cosine")
    of_lora = (table["method"] == "lora") & (table["measure"] == "cosine")
    assert (table[of_lora]["drift"] == 0).all()
    ratio = next(e for e in results.reductions[0].effects if e.name == "ratio")
    assert (ratio.estimate, ratio.low, ratio.high) == (0, None, None)
    assert ratio.missing == "no model of LoRA drifts: an interval would have no width"


@pytest.mark.parametrize("method", ["jackknife", "bca"])
def test_five_samples(tmp_path, method):
    """Some resamples of so few hold one sample only: those have no drift, and the ratio no interval."""
    results, _ = analysed(small(tmp_path, noisy, n=5), sampling=SamplingOptions(replicates=400, method=method))
    assert all(i.low < i.high for r in results.reductions for i in r.intervals)


def test_all_tasks_means_all_that_were_planned(tmp_path):
    study = small(tmp_path, noisy, tasks=("mrpc", "sst2"))
    kept = [s for s in study.plan().sets if (s.task, s.method) != ("sst2", "lora")]
    results, _ = analysed(study, sets=kept)
    said = whole(results, "comparison_drifts_less").sentence
    assert "over 1 of 2 tasks (MRPC)" in said
    assert "over all tasks" not in said


def test_a_task_with_neither_method_names_both(tmp_path):
    study = small(tmp_path, noisy)
    results, _ = analysed(study, reference_method="dora", comparison_methods=("ia3",))
    assert any("has no DoRA and no (IA)3 run" in w for w in results.warnings)
    (check,) = [s for s in results.sanity if s.name == "methods are told apart"]
    assert (check.passed, check.detail) == (None, "No task has final models of both methods.")


def test_small_drifts_are_shown_in_digits_that_tell_them_apart(tmp_path):
    def tuned(method, seed, base, generator):
        return base + (2e-3 if method == "full_finetune" else 1e-3) * generator.normal(size=base.shape)

    results, _ = analysed(small(tmp_path, tuned))
    less = whole(results, "comparison_drifts_less").sentence
    assert re.search(r"mean drift below 0\.000001 against 0\.00000[2-9]", less), less
    for sentence in (less, whole(results, "drift_above_seed_ceiling", "lora").sentence):
        assert not re.search(r"(?<![\d.])-?0\.0+(?![\d])", sentence), "a number that is not zero reads as zero"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ["all"], "bases": {"all": None}}, "a task cannot be named 'all'"),
        ({"tasks": ["mrpc", "mrpc"], "bases": {"mrpc": None}}, "task 'mrpc' is listed 2 times"),
        ({"methods": ["lora", "lora"]}, "method 'lora' is listed 2 times"),
        ({"seeds": [1, 2, 2]}, "seed 2 is listed 2 times"),
        ({"alpha": 0.5}, "alpha should lie between 0 and 0.5"),
    ],
)
def test_a_plan_that_would_mislabel_its_results(tmp_path, changes, message):
    plan = Study(tmp_path, tasks=(), methods=METHODS).plan()
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(plan, **changes)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([4, 4, 5], "12 rows for samples of 13 tokens together"),
        ([6, 0, 6], "the shortest of 0"),
        (None, "numbers of tokens for 0 of 3 samples"),
    ],
)
def test_tokens_that_do_not_add_up(tmp_path, tokens, message):
    fields = {"pooling": "tokens", "tokens_per_sample": tokens, "sample_ids": ["a", "b", "c"]}
    study = small(tmp_path, noisy, **fields)
    with pytest.raises(CorruptSetError, match=message):
        analysed(study)


def test_rows_are_not_paired_across_samples(tmp_path):
    fields = {"pooling": "tokens", "sample_ids": ["a", "b", "c"]}
    study = small(tmp_path, noisy, tokens_per_sample=[4, 4, 4], **fields)
    tensors = [np.random.default_rng(0).normal(size=(N, 5)) for _ in range(2)]
    said = fields | {"layers": [0, 1], "shape": [N, 5], "tokens_per_sample": [3, 5, 4], "key": "again"}
    write_set(study.folder("mrpc", "lora", 2), "mrpc", "lora", 2, tensors, **said)
    with pytest.raises(SampleSetMismatchError, match="tokens of each sample"):
        analysed(study)


def test_rows_that_are_not_the_samples(tmp_path):
    study = small(tmp_path, noisy, sample_ids=["a", "b"])
    with pytest.raises(CorruptSetError, match="12 rows for 2 samples"):
        analysed(study)
