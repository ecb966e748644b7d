"""The section on samples in a comparison: shares add up to the drift that is reported, and texts are escaped on every way out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from repdrift.comparison.comparing import compare, write_outputs
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.sample_moves import SAMPLE_COLUMNS, SAMPLES_TABLE
from tests.command_line import run_here
from tests.tiny_models import sentence
from tests.unit.comparison.tiny_comparisons import run

_HOSTILE = [
    "=1+1|cmd",
    "<script>alert(1)</script>",
    "\x1b[31mred\x07",
    "\u202edesrever",
    "| a | [x](y) **b**",
    "😀 👩‍👩‍👧",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """Rows with texts, ids and topics that a terminal, a table, Markdown or HTML would take for something else."""
    rows = [
        {"text": f"{sentence(i, 3 + i % 9)} {_HOSTILE[i % 6]}", "id": f"{_HOSTILE[i % 6]}{i}", "topic": _HOSTILE[i % 3]}
        for i in range(39)
    ]
    rows.append({"text": "the " * 250_000, "id": "long", "topic": None})
    path = tmp_path_factory.mktemp("hostile") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_shares_add_up_to_the_drift_that_is_reported(models, texts, tmp_path):
    result = run(models, ["full", "a"], texts, outputs=False, output_dir=tmp_path)
    table = pd.read_parquet(tmp_path / SAMPLES_TABLE)
    assert list(table.columns) == list(SAMPLE_COLUMNS)
    for model in result.compared:
        for at in model.layers:
            rows = table[(table["method"] == model.name) & (table["layer"] == at.layer)]
            assert len(rows) == result.samples
            assert rows["share"].sum() == pytest.approx(at.drift, abs=1e-13)
            assert rows["cosine_change"].mean() == pytest.approx(1 - at.values["cosine_centered"], abs=1e-12)
        assert model.moved.samples.places[0].noise is not None
        assert all(group.random_ratio is not None for group in model.moved.samples.groups)


def test_texts_from_outside_are_shown_and_escaped_on_every_way_out(models, hostile, tmp_path):
    asked = f"python -m repdrift compare {models['base']} {models['full']} --data {hostile} --id-column id --text-column text --sample-column topic"
    found = run_here(f"{asked} --no-controls --no-outputs --output-dir {tmp_path}", tmp_path)
    assert "\x1b[31m" not in found.stdout
    assert "\u202e" not in found.stdout
    summary = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "#### Samples that moved most" in summary
    for text in ("<script>", "\x1b", "\u202e", "| a | [x](y)"):
        assert text not in summary
    assert r"\<script\>alert(1)" in summary
    assert "1,000,000 characters" not in summary or len(summary) < 100_000
    result = Comparison.read(tmp_path / "comparison.json")
    groups = {group.value for group in result.compared[0].moved.samples.groups if group.column == "topic"}
    assert groups == {"=1+1|cmd", "<script>alert(1)</script>", "\x1b[31mred\x07", "(no value)"}
    assert max(len(s.text) for s in result.compared[0].moved.samples.most) < 400


def test_texts_are_in_no_file_where_they_are_not_wanted(models, texts, tmp_path):
    result = run(models, ["full"], texts, outputs=False, controls=False, sample_texts=False, output_dir=tmp_path)
    assert all(s.text is None for s in result.compared[0].moved.samples.most)
    shown = everything_in(tmp_path)
    assert "40 rows read" in result.data_notes[0]
    assert not any(sentence(i, 3 + i % 9) in shown for i in range(40))


def everything_in(folder: Path) -> str:
    """The texts of all files, tables as csv; pictures have none that can be read, and packed bytes may look like any word."""
    found: list[str] = []
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            found.append(pd.read_parquet(path).to_csv())
        elif path.is_file() and path.suffix not in (".png", ".pdf"):
            found.append(path.read_text(encoding="utf-8", errors="replace"))
    return "\n".join(found)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_word_of_the_data_is_in_no_file_of_a_language_model_without_texts(
    tiny_language_model, further_trained, tmp_path, wanted
):
    rows = [{"text": f"{sentence(i, 4 + i % 5)} Zanzibar", "kind": f"k{i % 2}"} for i in range(24)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked = f"python -m repdrift compare {tiny_language_model} {further_trained} --data {path} --text-column text --general-text {path} --no-controls"
    out = tmp_path / "out"
    done = run_here(f"{asked} --output-dir {out}{'' if wanted else ' --no-sample-texts'}", tmp_path)
    shown = everything_in(out)
    assert ("Zanzibar" in shown) == wanted
    assert ("Zanzibar" in done.stdout + done.stderr) == wanted
    strips = Comparison.read(out / "comparison.json").models[0].outputs.strips
    assert {strip.inputs for strip in strips} == ({"task", "general_text"} if wanted else set())
    assert (out / "token_strips.png").exists() == wanted
    assert "(id" not in shown
    assert "24 rows read" in shown
    if wanted:  # without texts in the same folder, those that were there before go
        run_here(f"{asked} --output-dir {out} --no-sample-texts", tmp_path)
        assert not (out / "token_strips.png").exists()
        assert "Zanzibar" not in everything_in(out)


@pytest.mark.parametrize(
    ("asked", "reason"), [({"accumulate": "moments"}, "only sums"), ({"sections": ("none",)}, None)]
)
def test_without_rows_or_without_asking_there_is_no_section(models, texts, tmp_path, asked, reason):
    result = run(models, ["full"], texts, outputs=False, controls=False, output_dir=tmp_path, **asked)
    assert not (tmp_path / SAMPLES_TABLE).exists()
    moved = result.compared[0].moved
    assert (moved is None) if reason is None else (reason in moved.left_out["samples"])


def test_tokens_of_a_sample_add_up(models, texts):
    result = run(models, ["full"], texts, outputs=False, controls=False, pooling="tokens", accumulate="rows")
    moves = result.compared[0].moved.samples
    assert moves.samples == result.samples < result.compared[0].layers[0].rows
    for at, layer in zip(moves.places, result.compared[0].layers, strict=True):
        assert sum(at.shares) == pytest.approx(layer.drift, abs=1e-12)
    assert any("sum over its tokens" in note for note in moves.notes)


@pytest.fixture(scope="module")
def relabelled(models, tmp_path_factory) -> Path:
    """The base model with the vectors of one word turned round: samples with that word moved, and no others."""
    from transformers import AutoModel

    folder = tmp_path_factory.mktemp("relabelled") / "model"
    shutil.copytree(models["base"], folder)
    model = AutoModel.from_pretrained(folder)
    from transformers import AutoTokenizer

    token = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("quickly")
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[token] *= -4
    model.save_pretrained(folder)
    return folder


def test_samples_with_a_word_that_changed_lead_the_list_and_are_named_with_their_group(models, relabelled, tmp_path):
    path = tmp_path / "rows.jsonl"
    plain = [sentence(i, 6 + i % 5).replace("quickly", "slowly") for i in range(300)]
    moved = np.arange(0, 300, 15) + np.arange(20) % 5  # of all lengths
    rows = [
        {"text": f"{text} quickly quickly" if i in moved else f"{text} happy sad", "kind": f"k{int(i in moved)}"}
        for i, text in enumerate(plain)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = compare(
        str(models["base"]),
        str(relabelled),
        data=str(path),
        text_columns=["text"],
        sample_columns=["kind"],
        outputs=False,
        output_dir=tmp_path,
    )
    moves = result.compared[0].moved.samples
    assert {int(s.sample) for s in moves.most} == set(moved.tolist())
    assert {int(name) for at in moves.places for name in at.named} == set(moved.tolist())
    found = [
        (g.column, g.value) for g in moves.groups if g.p_adjusted is not None and g.p_adjusted < 0.05 and g.ratio > 1
    ]
    assert found == [("kind", "k1")]
    write_outputs(result, tmp_path)
    assert "20 samples stand out" in (tmp_path / "comparison.md").read_text(encoding="utf-8")
