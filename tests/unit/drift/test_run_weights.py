"""The weights of a study's models: planted changes by method, kept files, and models whose weights are not here."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, DriftResults
from repdrift.core.study_weights_words import study_weights_worded
from repdrift.drift import BaseSets, DriftPlan, PlannedSet, analyze, model_files
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.models import resolve_model
from repdrift.weights import WeightOptions
from tests.tiny_models import save_bert
from tests.unit.drift.study_on_disk import LAYERS, NOISE, N, P, write_set

SEEDS = (1, 2, 3)
QUERY = "encoder.layer.1.attention.self.query.weight"


def tuned(base, folder, method, seed):
    """A run's folder: `full_finetune` moves every matrix of the blocks a little, `lora` one query by a large rank-1 change."""
    model = folder / "final_model"
    shutil.copytree(base, model)
    tensors = load_file(model / "model.safetensors")
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in tensors.items():
        if method == "full_finetune" and "encoder.layer" in name and tensor.dim() == 2:
            tensors[name] = tensor + 0.01 * torch.randn(tensor.shape, generator=generator)
    if method == "lora":
        left, right = torch.randn(2, 16, generator=generator)
        tensors[QUERY] = tensors[QUERY] + (1.0 + 0.1 * seed) * torch.outer(left, right)
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A plan of one task, two methods and three seeds, with the weights of all models on this machine."""
    root = tmp_path_factory.mktemp("weights_study")
    base = save_bert(root / "base_model")
    digest = resolve_model(str(base)).weights_digest()
    g = np.random.default_rng(0)
    rows = [g.normal(size=(N, P)) for _ in range(LAYERS)]
    of_base = {"model": str(base), "weights_digest": digest, "base_weights_digest": digest}
    write_set(root / "base/step_000000", "sst2", "base", None, rows, **of_base)
    write_set(root / "base/identity", "sst2", "base", None, rows, **of_base)
    sets = []
    for method in ("full_finetune", "lora"):
        for seed in SEEDS:
            run = tuned(base, root / f"runs/{method}_{seed}", method, seed)
            own = resolve_model(str(run / "final_model")).weights_digest()
            folder = root / f"sets/{method}_{seed}"
            moved = [row + NOISE[method] * g.normal(size=row.shape) for row in rows]
            write_set(
                folder, "sst2", method, seed, moved, model=str(run), weights_digest=own, base_weights_digest=digest
            )
            sets.append(
                PlannedSet(
                    "sst2", method, seed, 0, folder, "make", {own: run}, weights_folder=root / f"kept/{method}_{seed}"
                )
            )
    return root, DriftPlan(
        study="weights", model=str(base), tasks=["sst2"], methods=["full_finetune", "lora"], seeds=SEEDS, sets=sets,
        bases={"sst2": BaseSets(root / "base/step_000000", root / "base/identity", "make base")}, measures=("cka",), target_reduction=0.2,
        alpha=0.05, sampling=SamplingOptions(replicates=0), sections=("weights",),
    )  # fmt: skip


@pytest.fixture(scope="module")
def analysed(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    results, _ = analyze(study[1], out)
    return out, results


def test_planted_changes_are_named_by_method_kind_and_layer(analysed):
    _, results = analysed
    found = results.moved.weights
    assert [(run.method, run.seed) for run in found.runs] == [(m, s) for m in ("full_finetune", "lora") for s in SEEDS]
    for run in found.runs:
        changed = {group.group for group in run.kinds if group.changed}
        layers = {group.group for group in run.layers if group.changed}
        if run.method == "lora":
            assert (changed, layers, run.whole.rank_90) == ({"query"}, {"1"}, 1.0)
        else:
            assert changed == {"query", "key", "value", "output", "up", "down"}
            assert layers == {"0", "1", "2"}
            assert run.whole.intruders == 0
    words = " ".join(study_weights_worded(results).answer)
    assert "SST-2, LoRA: the weights that changed moved by" in words
    assert "most in query" in words


def test_contrasts_are_over_models_with_the_least_p_of_the_design(analysed):
    _, results = analysed
    size, intruders = results.moved.weights.contrasts
    whole = {
        m: [r.whole.change_norm for r in results.moved.weights.runs if r.method == m] for m in ("full_finetune", "lora")
    }
    for run in results.moved.weights.runs:  # over all weights, though LoRA changed one
        assert run.whole.change_norm == pytest.approx(np.hypot.reduce([k.change_norm for k in run.kinds]))
    ratio = np.exp(np.mean(np.log(whole["lora"])) - np.mean(np.log(whole["full_finetune"])))
    assert size.estimate == pytest.approx(ratio)
    assert size.low < ratio < size.high
    assert (size.models, size.reference_models) == (3, 3)
    assert size.p == size.smallest_p == pytest.approx(2 / 20)  # 3 against 3, two-sided
    assert size.p_adjusted >= size.p
    assert intruders.quantity == "intruder_share"


def test_table_has_every_matrix_of_every_model_and_the_summary_the_words(analysed):
    out, _ = analysed
    table = pd.read_parquet(out / "weights.parquet")
    assert list(table.columns[:4]) == ["task", "method", "seed", "step"]
    assert len(table) == 6 * 55
    assert "weights.parquet" in DriftResults.read(out / RESULTS_FILE).table_sha256
    assert "What moved in the weights" in (out / SUMMARY_FILE).read_text()


def test_second_analysis_needs_no_weights(study, analysed, tmp_path):
    """Numbers are read from the kept files, and are equal to the last bit."""
    _, plan = study
    away = [
        PlannedSet(s.task, s.method, s.seed, 0, s.folder, s.command, weights_folder=s.weights_folder) for s in plan.sets
    ]
    again, _ = analyze(_with(plan, away), tmp_path)
    assert again.moved.weights.runs == analysed[1].moved.weights.runs
    assert not again.moved.weights.left_out


def test_models_without_weights_here_are_left_out_and_changed_files_are_measured_anew(
    study, analysed, tmp_path, capsys
):
    _, plan = study
    first, second, *others = plan.sets
    kept = tmp_path / "kept"
    shutil.copytree(second.weights_folder, kept)
    rows = (kept / "weights.parquet").read_bytes()
    (kept / "weights.parquet").write_bytes(rows[:-9] + b"x" + rows[-8:])
    lost = PlannedSet(
        first.task, first.method, first.seed, 0, first.folder, first.command, {}, weights_folder=tmp_path / "none"
    )
    damaged = PlannedSet(
        second.task, second.method, second.seed, 0, second.folder, "make", second.weights, weights_folder=kept
    )
    results, _ = analyze(_with(plan, [lost, damaged, *others]), tmp_path / "out")
    found = results.moved.weights
    assert list(found.left_out) == ["SST-2, full fine-tuning, seed 1"]
    assert "not on this machine" in found.left_out["SST-2, full fine-tuning, seed 1"]
    assert [run for run in found.runs if run.seed == 2] == [
        run for run in analysed[1].moved.weights.runs if run.seed == 2
    ]
    assert "Measuring anew" in capsys.readouterr().err
    assert json.loads((kept / "weights.json").read_text())["rows"] == 55


def test_weights_that_were_replaced_since_are_not_measured(study, tmp_path):
    _, plan = study
    first, *others = plan.sets
    run = tmp_path / "run"
    shutil.copytree(next(iter(others[3].weights.values())), run)  # another model in its place
    swapped = PlannedSet(
        first.task, first.method, first.seed, 0, first.folder, "make", dict.fromkeys(first.weights, run),
        weights_folder=tmp_path / "none",
    )  # fmt: skip
    results, _ = analyze(_with(plan, [swapped, *others]), tmp_path / "out")
    (reason,) = results.moved.weights.left_out.values()
    assert "are not those that its representations were extracted from" in reason


def test_without_the_base_model_kept_numbers_are_there_and_the_others_are_named(study, analysed, tmp_path, monkeypatch):
    _, plan = study
    first, *others = plan.sets
    monkeypatch.setattr(model_files, "model_on_this_machine", lambda *_, **__: None)
    fresh = replace(first, weights_folder=tmp_path / "none")
    results, _ = analyze(_with(plan, [fresh, *others]), tmp_path / "out")
    found = results.moved.weights
    assert len(found.runs) == len(others)
    (reason,) = found.left_out.values()
    assert "is not on this machine, and nothing is downloaded for this" in reason


def test_no_weights_at_all_leaves_the_section_out(study, tmp_path):
    _, plan = study
    away = [PlannedSet(s.task, s.method, s.seed, 0, s.folder, s.command) for s in plan.sets]
    results, _ = analyze(_with(plan, away), tmp_path)
    assert results.moved.weights is None
    assert "not on this machine" in results.moved.left_out["weights"]


def _with(plan, sets):
    return replace(plan, sets=sets)


def test_settings_of_intruders_stand_in_the_results_and_other_settings_are_measured_anew(
    study, analysed, tmp_path, capsys
):
    _, plan = study
    kept = tmp_path / "kept"
    shutil.copytree(plan.sets[3].weights_folder, kept)
    one = replace(plan, sets=[replace(plan.sets[3], weights_folder=kept)], weights=WeightOptions(64, 0.9))
    found = analyze(one, tmp_path / "out")[0].moved.weights
    assert (found.leading, found.intruder_cosine) == (64, 0.9)  # more than a width of 16 has
    assert "is of other weights or settings: measuring anew" in capsys.readouterr().err
    usual = analysed[1].moved.weights
    assert (usual.leading, usual.intruder_cosine) == (10, 0.5)
    assert "below 0.9 with every left singular vector" in (tmp_path / "out" / SUMMARY_FILE).read_text()
