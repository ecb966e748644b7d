import errno
import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch

from repdrift.core.errors import (
    ConfigError,
    CorruptSetError,
    DegenerateInputError,
    MissingRunError,
    NonFiniteError,
    SampleSetMismatchError,
    StorageError,
)
from repdrift.core.records.results import (
    DRIFT_COLUMNS,
    RESULTS_FILE,
    SUMMARY_FILE,
    TABLE_CSV,
    TABLE_PARQUET,
    DriftResults,
)
from repdrift.drift import PlannedSet, analyze
from repdrift.drift.result_files import results_schema, shipped_schema
from tests.resealed import reseal_set
from tests.unit.drift.study_on_disk import LAYERS, N, Study, write_set


def _reference(measure, x, y):
    """Independent float64 recomputation with explicit centring matrices."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    n = len(x)
    if measure == "cosine":
        return np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(x, y, strict=True)])
    h = np.eye(n) - 1 / n
    xc, yc = h @ x, h @ y
    if measure == "cosine_centered":
        return np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(xc, yc, strict=True)])
    k, l_ = xc @ xc.T, yc @ yc.T
    if measure == "cka_biased":
        return np.trace(k @ l_) / np.sqrt(np.trace(k @ k) * np.trace(l_ @ l_))
    one = np.ones(n)

    def hsic(a, b):
        a, b = a - np.diag(np.diag(a)), b - np.diag(np.diag(b))
        return (
            np.trace(a @ b) + one @ a @ one * (one @ b @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ a @ b @ one)
        ) / (n * (n - 3))

    return hsic(k, l_) / np.sqrt(hsic(k, k) * hsic(l_, l_))


@pytest.fixture(scope="module")
def whole(whole_study, tmp_path_factory):
    """The analysis of a study in which nothing is missing: folder, results and table."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, *analyze(whole_study.plan(), out)


def test_every_value_agrees_with_an_independent_recomputation_from_the_files(whole, whole_study):
    study, (_, _, table) = whole_study, whole
    assert len(table) == 2 * 2 * 3 * LAYERS * 4
    for row in table.itertuples():
        x = torch.load(study.base(row.task) / f"layer_{row.layer}.pt", weights_only=True).numpy()
        y = torch.load(
            study.folder(row.task, row.method, row.seed) / f"layer_{row.layer}.pt", weights_only=True
        ).numpy()
        assert row.value == pytest.approx(_reference(row.measure, x, y), abs=1e-9)
        assert row.drift == pytest.approx(1 - row.value, abs=1e-15)


def test_files_are_complete_agree_and_keep_the_schema(whole):
    out, results, table = whole
    content = json.loads((out / RESULTS_FILE).read_text())
    jsonschema.validate(content, shipped_schema())
    parquet, csv = pd.read_parquet(out / TABLE_PARQUET), pd.read_csv(out / TABLE_CSV)
    assert list(parquet.columns) == list(csv.columns) == list(DRIFT_COLUMNS)
    np.testing.assert_allclose(parquet["value"], csv["value"], rtol=1e-12)
    assert len(parquet) == len(table)
    assert DriftResults.read(out / RESULTS_FILE) == results
    summary = (out / SUMMARY_FILE).read_text()
    assert "12 final models (6 trained by full fine-tuning, 6 trained by LoRA)" in summary
    assert f"MRPC {N}, SST-2 {N}" in summary
    for test in results.tests:
        if test.task == "all" and test.layer is None:
            assert test.sentence in summary


def test_shipped_schema_is_the_one_of_the_record():
    assert shipped_schema() == results_schema()


def test_known_difference_is_found_and_the_design_speaks_for_itself(whole):
    _, results, table = whole
    by_task = {(t.task, t.hypothesis): t for t in results.tests if t.layer is None}
    pooled = by_task["all", "comparison_drifts_less"]
    assert pooled.verdict == "supported"
    assert pooled.smallest_pvalue == pytest.approx(1 / 400)
    assert by_task["mrpc", "comparison_drifts_less"].smallest_pvalue == pytest.approx(1 / 20)
    models = table[table["measure"] == "cka"].groupby(["task", "method", "seed"])["drift"].mean()
    means = models.groupby(["task", "method"]).mean().unstack().mean()
    (overall,) = [r for r in results.reductions if r.task == "all" and r.layer is None]
    assert overall.reduction == pytest.approx(1 - means["lora"] / means["full_finetune"])
    assert 0 < overall.reduction_low < overall.reduction
    layers = [t for t in results.tests if t.layer is not None and t.hypothesis == "comparison_drifts_less"]
    assert len(layers) == LAYERS
    assert all(t.pvalue <= t.pvalue_bh <= t.pvalue_holm for t in layers)


def test_controls_are_carried(whole):
    _, results, table = whole
    named = {c.name for c in results.controls}
    assert named == {"identity", "mispaired", "seed_ceiling"}
    cka = [c for c in results.controls if c.measure == "cka"]
    assert all(abs(c.drift) < 1e-9 for c in cka if c.name == "identity")
    assert all(abs(c.value) < 0.3 for c in cka if c.name == "mispaired")
    assert all(c.repeats == 3 for c in cka if c.name == "seed_ceiling")
    assert table["above_noise"].all()
    assert {s.name: s.passed for s in results.sanity}["identity drift is noise"]


def test_missing_and_unfinished_runs_are_named_and_not_filled_in(study, tmp_path):
    shutil.rmtree(study.folder("mrpc", "lora", 2))
    (study.folder("sst2", "full_finetune", 3) / "metadata.json").unlink()
    results, table = analyze(study.plan(), tmp_path / "out")
    states = {(r.task, r.method, r.seed): r for r in results.runs}
    assert states["mrpc", "lora", 2].status == "missing"
    assert "make mrpc lora 2" in states["mrpc", "lora", 2].reason
    assert states["sst2", "full_finetune", 3].status == "unfinished"
    assert not ((table["task"] == "mrpc") & (table["method"] == "lora") & (table["seed"] == 2)).any()
    assert any("2 of 12 planned runs are not there" in w for w in results.warnings)
    assert any("unequal numbers" in w for w in results.warnings)
    (pooled,) = [
        t for t in results.tests if t.task == "all" and t.layer is None and t.hypothesis == "comparison_drifts_less"
    ]
    assert pooled.n_units == 10
    assert pooled.smallest_pvalue == pytest.approx(1 / 100)


def test_task_with_one_method_is_left_out_of_the_comparison(study, tmp_path):
    for seed in study.seeds:
        shutil.rmtree(study.folder("mrpc", "lora", seed))
    results, table = analyze(study.plan(), tmp_path / "out")
    assert {t.task for t in results.tests} == {"sst2", "all"}
    assert any("MRPC has no LoRA run" in w for w in results.warnings)
    assert "mrpc" in set(table["task"]), "its drift is still measured"


def test_identity_not_at_hand_is_said_and_left_empty(study, tmp_path):
    for task in study.tasks:
        shutil.rmtree(study.identity(task))
    results, table = analyze(study.plan(), tmp_path / "out")
    assert {s.name: s.passed for s in results.sanity}["identity drift is noise"] is None
    assert table["noise_floor"].isna().all()
    assert table["above_noise"].isna().all()
    assert not any("noise of extraction in no layer" in w for w in results.warnings), "the noise is not known"


def _rewrite(study, **changes):
    folder = study.folder("mrpc", "lora", 2)
    tensors = [torch.load(folder / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
    write_set(folder, "mrpc", "lora", 2, tensors, **changes)


def test_drift_meets_the_population_value_and_its_interval_holds_it(tmp_path):
    # y = c x + s z, x and z independent standard normal: ||Cov(x, y)||^2 / (||Cov(x)|| ||Cov(y)||) = c^2 / (c^2 + s^2).
    g = np.random.default_rng(11)
    n, p, c, s = 400, 8, 0.9, 0.5
    study = Study(tmp_path, tasks=("sst2",), seeds=(1, 2, 3))
    shape = {"sample_ids": [str(i) for i in range(n)], "shape": [n, p]}
    base = [g.normal(size=(n, p)) for _ in range(LAYERS)]
    write_set(study.base("sst2"), "sst2", "base", None, base, **shape)
    shutil.rmtree(study.identity("sst2"))
    for method in study.methods:
        for seed in study.seeds:
            tuned = [c * x + s * g.normal(size=(n, p)) for x in base]
            write_set(study.folder("sst2", method, seed), "sst2", method, seed, tuned, **shape)
    _, table = analyze(study.plan(), tmp_path / "out")
    rows = table[table["measure"] == "cka"]
    truth = s**2 / (c**2 + s**2)
    assert rows["drift"].mean() == pytest.approx(truth, abs=0.01)
    inside = (rows["drift_low"] <= truth) & (truth <= rows["drift_high"])
    assert inside.sum() >= 15, "18 intervals of 95 % hold the value, but for one in twenty"
    assert (rows["mispaired_value"].abs() < 0.02).all()
    biased = table[table["measure"] == "cka_biased"]
    assert (biased["mispaired_value"] > 0.015).all(), "the biased form is not 0 for unrelated samples"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"sample_set_fingerprint": "other"},
            SampleSetMismatchError,
            "different sample sets.*fingerprint-mrpc and other",
        ),
        (
            {"sample_ids": [str(i) for i in range(40)][::-1]},
            SampleSetMismatchError,
            "their fingerprints are equal: the sample ids differ .row 0: '0' and '39'",
        ),
        ({"pooling": "last"}, SampleSetMismatchError, "differ in pooling: mean and last"),
        ({"base_weights_digest": "elsewhere"}, SampleSetMismatchError, "tuned from another base model"),
        ({"step": 5}, CorruptSetError, "says it holds task mrpc, method lora, seed 2, step 5.*wrong folder"),
    ],
)
def test_what_must_not_be_compared_is_an_error_and_writes_nothing(study, tmp_path, changes, error, message):
    _rewrite(study, **changes)
    with pytest.raises(error, match=f"(?s){message}"):
        analyze(study.plan(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nan_in_a_stored_layer_is_named(study, tmp_path):
    path = study.folder("mrpc", "lora", 2) / "layer_1.pt"
    nan = torch.load(path, weights_only=True, mmap=True)
    data = bytearray(path.read_bytes())
    row = data.index(nan[7].numpy().tobytes())
    data[row + 12 : row + 16] = np.float32("nan").tobytes()
    path.write_bytes(data)
    with pytest.raises(CorruptSetError, match="layer_1.pt was changed after it was written"):
        analyze(study.plan(), tmp_path / "out")
    reseal_set(path.parent)
    with pytest.raises(NonFiniteError, match=r"mrpc_lora_seed2.*layer 1, sample '7'"):
        analyze(study.plan(), tmp_path / "out")


def test_missing_base_and_missing_everything_print_the_commands(study, tmp_path):
    shutil.rmtree(study.base("mrpc"))
    with pytest.raises(MissingRunError, match="(?s)make base mrpc.*download_base_representations"):
        analyze(study.plan(), tmp_path / "out")
    shutil.rmtree(tmp_path / "sets")
    with pytest.raises(MissingRunError, match="(?s)none of the 12 planned.*make mrpc full_finetune 1.*and 8 more"):
        analyze(study.plan(), tmp_path / "out")


def test_other_base_model_than_the_study_says_is_an_error(study, tmp_path):
    with pytest.raises(SampleSetMismatchError, match="base model is 'big'.*of 'tiny'"):
        analyze(study.plan(model="big"), tmp_path / "out")
    assert analyze(study.plan(model=None), tmp_path / "out")[0].study.model == "tiny"


def test_fine_tune_that_changes_nothing_is_reported(study, tmp_path):
    base = [torch.load(study.base("mrpc") / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
    write_set(study.folder("mrpc", "lora", 2), "mrpc", "lora", 2, base)
    results, _ = analyze(study.plan(), tmp_path / "out")
    assert any("MRPC, LoRA, seed 2, step 0: drift is exactly zero" in w for w in results.warnings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_set_fingerprint": "other"}, "identity are of different sample sets.*fingerprint-mrpc and other"),
        ({"weights_digest": "elsewhere"}, "identity are of different base models .weights base0 and elsewhere"),
    ],
)
def test_second_extraction_of_something_else_is_an_error_not_an_absent_control(study, tmp_path, changes, message):
    base = [torch.load(study.base("mrpc") / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
    write_set(study.identity("mrpc"), "mrpc", "base", None, base, **changes)
    with pytest.raises(SampleSetMismatchError, match=message):
        analyze(study.plan(), tmp_path / "out")


def test_run_in_the_base_models_place_is_an_error(study, tmp_path):
    base = [torch.load(study.base("mrpc") / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
    write_set(study.base("mrpc"), "mrpc", "lora", 1, base, weights_digest="base0")
    with pytest.raises(CorruptSetError, match="says it holds task mrpc, method lora; the base model's set"):
        analyze(study.plan(), tmp_path / "out")


def test_tasks_extracted_in_other_ways_are_not_pooled(study, tmp_path):
    places = [(study.base("mrpc"), "base", None), (study.identity("mrpc"), "base", None)]
    places += [(study.folder("mrpc", m, s), m, s) for m in study.methods for s in study.seeds]
    for folder, method, seed in places:
        tensors = [torch.load(folder / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
        write_set(folder, "mrpc", method, seed, tensors, pooling="last")
    with pytest.raises(SampleSetMismatchError, match="mrpc.*sst2.*differ in pooling: last and mean"):
        analyze(study.plan(), tmp_path / "out")


def test_plan_that_would_make_wrong_numbers_is_refused_with_every_fault(study):
    plan = study.plan()
    with pytest.raises(ConfigError, match="run mrpc, full_finetune, seed 1, step 0 is planned 2 times"):
        study.plan(sets=[*plan.sets, plan.sets[0]])
    with pytest.raises(ConfigError, match="'cka', which is not among.*cosine.*alpha should lie.*target reduction"):
        study.plan(measures=("cosine",), alpha=1.5, target_reduction=1.0)
    with pytest.raises(ConfigError, match="task 'sst2' has no base set"):
        study.plan(bases={"mrpc": plan.bases["mrpc"]})


def test_one_model_under_two_seeds_is_reported(study, tmp_path):
    _rewrite(study, weights_digest="lora1")
    results, _ = analyze(study.plan(), tmp_path / "out")
    assert any("LoRA seed 1 and LoRA seed 2 have the same weights" in w for w in results.warnings)


def test_other_precision_than_the_base_models_is_reported(study, tmp_path):
    _rewrite(study, compute_dtype="bfloat16")
    results, _ = analyze(study.plan(), tmp_path / "out")
    assert any("extracted in float32" in w and "LoRA seed 2 (bfloat16" in w for w in results.warnings)


def test_constant_layer_is_an_error_that_names_it(study, tmp_path):
    folder = study.folder("mrpc", "lora", 2)
    tensors = [torch.load(folder / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
    write_set(folder, "mrpc", "lora", 2, [tensors[0], np.ones_like(tensors[1]), tensors[2]])
    with pytest.raises(DegenerateInputError, match=r"mrpc_lora_seed2.*layer 1: "):
        analyze(study.plan(), tmp_path / "out")


def test_checkpoints_are_measured_and_in_no_test(study, tmp_path):
    plan = study.plan()
    folder = study.folder("mrpc", "lora", 2).parent / "step_000010"
    shutil.copytree(study.folder("mrpc", "full_finetune", 2), folder)
    tensors = [torch.load(folder / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
    write_set(folder, "mrpc", "lora", 2, tensors, step=10, weights_digest="lora2-10")
    without, _ = analyze(plan, tmp_path / "without")
    results, table = analyze(
        study.plan(sets=[*plan.sets, PlannedSet("mrpc", "lora", 2, 10, folder, "make")]), tmp_path / "out"
    )
    assert (table["step"] == 10).sum() == LAYERS * 4
    assert results.tests == without.tests
    assert results.reductions == without.reductions
    summary = (tmp_path / "out" / SUMMARY_FILE).read_text()
    assert "Checkpoints (steps 10)" in summary
    (row,) = [line for line in summary.splitlines() if line.startswith("| MRPC | LoRA | 0.")]
    assert row.split(" | ")[2].endswith("(1)")
    assert row.rstrip(" |").endswith("(3)")
    assert "| SST-2 | LoRA | missing |" in summary


def test_failure_while_writing_leaves_the_earlier_analysis_whole(study, tmp_path, monkeypatch):
    out = tmp_path / "out"
    analyze(study.plan(), out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    shutil.rmtree(study.folder("mrpc", "lora", 2))

    def full_disk(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(StorageError, match="no space left while writing .*out"):
        analyze(study.plan(), out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
