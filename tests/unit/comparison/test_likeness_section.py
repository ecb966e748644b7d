"""Likeness of tuned models in a comparison: planted changes in words, table and figure."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from repdrift.comparison.comparing import write_outputs
from repdrift.comparison.what_moved import whole_sections
from repdrift.core.likeness_matrices import common_layers, likeness_matrix
from repdrift.report.likeness_figure import FIGURE_NAMES
from tests.tiny_models import save_adapter, save_bert, write_sentences
from tests.unit.comparison.tiny_comparisons import run

EDITED = "encoder.layer.1.output.dense.weight"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    base = save_bert(folder / "base")
    tensors = load_file(base / "model.safetensors")
    u, v = torch.linspace(-1, 1, 16), torch.linspace(1, 2, 32)
    edit = 3.0 * torch.outer(u, v)
    for name, change in (
        ("edited", edit),
        ("larger", 1.5 * edit),
        ("across", torch.outer(torch.ones(16), v)),
        ("same", 0 * edit),
    ):
        copied = save_bert(folder / name)
        save_file({**tensors, EDITED: tensors[EDITED] + change}, copied / "model.safetensors", {"format": "pt"})
    save_adapter(base, folder / "adapter", target_modules=["query", "value"])
    texts = write_sentences(folder / "texts.txt", 30)
    return {"base": base, **{n: folder / n for n in ("edited", "larger", "across", "same", "adapter")}}, texts


@pytest.fixture(scope="module")
def result(planted):
    models, texts = planted
    return run(
        models,
        ["edited", "larger", "across", "same", "adapter"],
        texts,
        controls=False,
        outputs=False,
        sections=("likeness",),
    )


def test_the_same_edit_in_two_models_is_named_first(result):
    (section,) = whole_sections(result)
    assert section.answer[0].startswith(
        "The weights of edited and larger changed most alike of 6 pairs: cosine 1.000, where "
    )
    weights, profiles, directions, pairs, kinds = section.tables
    for matrix in (weights, profiles, directions):
        assert set(matrix.header[1:]) == {"adapter", "edited", "larger", "across", "same"}
        rows = {row[0]: dict(zip(matrix.header, row, strict=True)) for row in matrix.rows}
        assert rows["edited"]["larger"] == rows["larger"]["edited"]
    assert "Cosines of the changes of weights" in weights.title
    assert "Rank correlations of drift by layer" in profiles.title
    assert "Cosines of the mean differences" in directions.title
    assert pairs.rows[0][:4] == ["edited", "larger", "1", "1.000"]
    missing = [row for row in pairs.rows if "same" in row[:2]]
    assert len(missing) == 4
    assert all(row[3].startswith("missing: ") and "changed none of these weights" in row[3] for row in missing)
    assert list(kinds.rows[0][:2]) == ["down", "3"]


def test_a_shift_in_one_direction_is_alike_in_directions_and_profiles(result):
    found = result.moved.likeness
    places = [found.models[i].name for i in range(5)]
    of = {frozenset((places[p.first], places[p.second])): p for p in found.profiles}
    assert of[frozenset(("edited", "larger"))].spearman > 0.4
    assert of[frozenset(("edited", "same"))].spearman is None
    shifts = {(frozenset((places[d.first], places[d.second])), d.layer): d for d in found.directions}
    assert shifts[frozenset(("edited", "larger")), 1].cosine > 0.9
    assert shifts[frozenset(("edited", "larger")), 0].missing == "a model did not move here"


def test_directions_are_averaged_over_the_layers_in_which_every_pair_has_one(result):
    """Edits in layer 1 leave layer 0 as it was, so that its directions are those of no model but the adapter."""
    found = result.moved.likeness
    assert common_layers(found.directions) == [1, 2]
    matrix = likeness_matrix(found, "directions")
    for pair, value in matrix.values.items():
        cosines = [at.cosine for at in found.directions if (at.first, at.second) == pair and at.layer > 0]
        assert value == (None if None in cosines else pytest.approx(sum(cosines) / 2))
    named = [found.models[place].name for place in matrix.order]
    assert abs(named.index("edited") - named.index("larger")) == 1
    assert named[-1] == "same", "it has no direction"
    (section,) = whole_sections(result)
    assert any(
        "is the mean over layers 1 to 2: the layers, of 3, in which every pair has one." in note
        for note in section.notes
    )


def test_table_and_figure_are_written_for_all_pairs(result, tmp_path):
    written = {path.name for path in write_outputs(result, tmp_path)}
    assert {
        "likeness.parquet",
        *(f"{name}.{kind}" for name in FIGURE_NAMES.values() for kind in ("png", "pdf")),
    } <= written
    table = pd.read_parquet(tmp_path / "likeness.parquet")
    whole = table[(table["of"] == "weights") & (table["by"] == "all")]
    assert len(whole) == 10
    edited = table[(table["model"] == "edited") & (table["other_model"] == "larger") & (table["of"] == "weights")]
    assert edited[edited["cosine"].notna()]["group"].tolist() == ["all", "down", "1", "down of layer 1"]


def test_one_model_has_no_section_unless_it_was_asked_for(planted):
    models, texts = planted
    assert not whole_sections(run(models, ["edited"], texts, controls=False, outputs=False))
    asked = run(models, ["edited"], texts, controls=False, outputs=False, sections=("likeness",))
    assert "likeness is that of two tuned models" in asked.moved.left_out["likeness"]
