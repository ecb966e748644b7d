import json
import shutil

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch

from repdrift.core.errors import CorruptSetError, MissingRunError, NonFiniteError, SampleSetMismatchError
from repdrift.core.records.results import DRIFT_COLUMNS, RESULTS_FILE, SUMMARY_FILE, TABLE_CSV, TABLE_PARQUET
from repdrift.drift import analyze
from repdrift.drift.schema import results_schema, shipped_schema
from tests.unit.drift.conftest import LAYERS, Study, write_set


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


def test_every_value_agrees_with_an_independent_recomputation_from_the_files(study, tmp_path):
    _, table = analyze(study.plan(), tmp_path / "out")
    assert len(table) == 2 * 2 * 3 * LAYERS * 4
    for row in table.itertuples():
        x = torch.load(study.base(row.task) / f"layer_{row.layer}.pt", weights_only=True).numpy()
        y = torch.load(
            study.folder(row.task, row.method, row.seed) / f"layer_{row.layer}.pt", weights_only=True
        ).numpy()
        assert row.value == pytest.approx(_reference(row.measure, x, y), abs=1e-9)
        assert row.drift == pytest.approx(1 - row.value, abs=1e-15)


def test_files_are_complete_agree_and_keep_the_schema(study, tmp_path):
    results, table = analyze(study.plan(), tmp_path / "out")
    content = json.loads((tmp_path / "out" / RESULTS_FILE).read_text())
    jsonschema.validate(content, shipped_schema())
    parquet, csv = pd.read_parquet(tmp_path / "out" / TABLE_PARQUET), pd.read_csv(tmp_path / "out" / TABLE_CSV)
    assert list(parquet.columns) == list(csv.columns) == list(DRIFT_COLUMNS)
    np.testing.assert_allclose(parquet["value"], csv["value"], rtol=1e-12)
    assert len(parquet) == len(table)
    summary = (tmp_path / "out" / SUMMARY_FILE).read_text()
    assert results.tests[-1].sentence or summary
    for test in results.tests:
        if test.task == "all" and test.layer is None:
            assert test.sentence in summary


def test_shipped_schema_is_the_one_of_the_record():
    assert shipped_schema() == results_schema()


def test_known_difference_is_found_and_the_design_speaks_for_itself(study, tmp_path):
    results, table = analyze(study.plan(), tmp_path / "out")
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


def test_controls_are_carried(study, tmp_path):
    results, table = analyze(study.plan(), tmp_path / "out")
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
    assert any("mrpc has no lora run" in w for w in results.warnings)
    assert "mrpc" in set(table["task"]), "its drift is still measured"


def test_one_seed_is_not_a_test(tmp_path):
    results, _ = analyze(Study(tmp_path, tasks=("sst2",), seeds=(1,)).plan(), tmp_path / "out")
    assert {t.verdict for t in results.tests} <= {"undecided", "not testable"}
    assert all(t.smallest_pvalue >= 0.5 for t in results.tests)


def test_identity_not_at_hand_is_said_and_left_empty(study, tmp_path):
    for task in study.tasks:
        shutil.rmtree(study.identity(task))
    results, table = analyze(study.plan(), tmp_path / "out")
    assert {s.name: s.passed for s in results.sanity}["identity drift is noise"] is None
    assert table["noise_floor"].isna().all()
    assert table["above_noise"].isna().all()


def _rewrite(study, **changes):
    folder = study.folder("mrpc", "lora", 2)
    tensors = [torch.load(folder / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
    write_set(folder, "mrpc", "lora", 2, tensors, **changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"sample_set_fingerprint": "other"},
            SampleSetMismatchError,
            "different sample sets.*fingerprint-mrpc and other",
        ),
        ({"sample_ids": [str(i) for i in range(40)][::-1]}, SampleSetMismatchError, "different sample sets"),
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
    tensor = torch.load(path, weights_only=True).clone()
    tensor[7, 3] = float("nan")
    torch.save(tensor, path)
    with pytest.raises(NonFiniteError, match=r"mrpc_lora_seed2.*layer 1, sample '7'"):
        analyze(study.plan(), tmp_path / "out")


def test_missing_base_and_missing_everything_print_the_commands(study, tmp_path):
    shutil.rmtree(study.base("mrpc"))
    with pytest.raises(MissingRunError, match="(?s)make base mrpc.*download_base_representations"):
        analyze(study.plan(), tmp_path / "out")
    shutil.rmtree(tmp_path / "sets")
    with pytest.raises(MissingRunError, match="(?s)none of the 12 planned.*make mrpc full_finetune 1"):
        analyze(study.plan(), tmp_path / "out")


def test_other_base_model_than_the_study_says_is_an_error(study, tmp_path):
    with pytest.raises(SampleSetMismatchError, match="base model is 'big'.*of 'tiny'"):
        analyze(study.plan(model="big"), tmp_path / "out")
    assert analyze(study.plan(model=None), tmp_path / "out")[0].study.model == "tiny"


def test_fine_tune_that_changes_nothing_is_reported(study, tmp_path):
    base = [torch.load(study.base("mrpc") / f"layer_{i}.pt", weights_only=True).numpy() for i in range(LAYERS)]
    write_set(study.folder("mrpc", "lora", 2), "mrpc", "lora", 2, base)
    results, _ = analyze(study.plan(), tmp_path / "out")
    assert any("mrpc, lora, seed 2, step 0: drift is exactly zero" in w for w in results.warnings)
