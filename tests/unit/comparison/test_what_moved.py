"""Sections on what moved: chosen, measured once, in every output, and removed with the comparison that wrote them."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from repdrift.comparison import sections
from repdrift.comparison.comparing import write_outputs
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.sections import ComparisonSection, SectionFound
from repdrift.comparison.what_moved import chosen_sections
from repdrift.core.errors import DegenerateInputError
from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from repdrift.core.records.what_moved import SECTIONS
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.report.figure_size import FigureSize
from repdrift.report.rendering import FigureFormat
from tests.unit.comparison.tiny_comparisons import run


def _section(measure, *, by_default=True):
    def worded(result, model):
        rows = [[model.name, "<b>|*"]]
        return WordedSection(
            "weights", "Weights of it", ["It moved."], [CaptionedTable("Table", "Of all", ["model", "text"], rows)]
        )

    def tables(result):
        return {"weights.parquet": pd.DataFrame({"model": [model.name for model in result.compared]})}

    return ComparisonSection(
        "weights", 10, by_default, measure, tables, worded, drawings=lambda _result: {"weights": Figure}
    )  # fmt: skip


@pytest.fixture
def only(monkeypatch):
    def put(*found):
        monkeypatch.setattr(sections, "_REGISTRY", found)

    return put


def test_section_sees_the_rows_of_all_models_and_its_words_tables_and_figures_are_written_and_removed(
    models, texts, only, tmp_path
):
    seen = []

    def measure(inputs):
        seen.append(inputs)
        return SectionFound(left_out={"full": "it says why"})

    only(_section(measure))
    result = run(models, ["full", "a"], texts, controls=False, outputs=False)
    (inputs,) = seen
    assert [tuned.name for tuned in inputs.tuned] == [model.name for model in result.models]
    assert set(inputs.rows.tuned) == {model.name for model in result.models}
    assert all(inputs.rows.base[0].shape == rows[0].shape for rows in inputs.rows.tuned.values())
    result = result.model_copy(
        update={"models": [m.model_copy(update={"moved": m.moved.model_copy(update={"left_out": {"grid": "why"}})}) for m in result.models]}
    )  # fmt: skip
    write_outputs(result, tmp_path)
    assert (tmp_path / "weights.parquet").is_file()
    assert Comparison.read(tmp_path / COMPARISON_FILE).section_files == [
        "weights.parquet",
        *(f"{name}.{kind}" for name in ("drift_by_layer", "weights") for kind in ("png", "pdf")),
    ]
    text = (tmp_path / "comparison.md").read_text()
    assert "### Weights of it" in text
    assert r"\<b\>\|\*" in text
    assert "Grid: why" in text
    (tmp_path / "mine.png").write_bytes(b"mine")
    only()
    write_outputs(result, tmp_path)
    assert not (tmp_path / "weights.parquet").exists()
    assert not (tmp_path / "weights.png").exists()
    assert (tmp_path / "mine.png").exists()


def test_figures_have_the_formats_and_the_width_that_are_asked_for(models, texts, only, tmp_path):
    only()
    result = run(models, ["full"], texts, controls=False, outputs=False)
    write_outputs(result, tmp_path)
    write_outputs(result, tmp_path, figures=FigureFormat(("svg",), FigureSize("one-column", "acl")))
    assert {path.name for path in tmp_path.glob("drift_by_layer.*")} == {"drift_by_layer.svg"}
    assert b'width="218.26' in (tmp_path / "drift_by_layer.svg").read_bytes()[:1000], "7.7 cm in points"


def test_damaged_comparison_of_earlier_names_no_files_to_remove(models, texts, only, tmp_path):
    only()
    result = run(models, ["full"], texts, controls=False, outputs=False)
    (tmp_path / "mine.png").write_bytes(b"mine")
    for damaged in ("{", result.model_copy(update={"section_files": ["../out.png", "mine.txt"]}).file_text()):
        (tmp_path / COMPARISON_FILE).write_text(damaged)
        (tmp_path.parent / "out.png").write_bytes(b"theirs")
        (tmp_path / "mine.txt").write_bytes(b"mine")
        write_outputs(result, tmp_path)
        assert Comparison.read(tmp_path / COMPARISON_FILE).section_files == ["drift_by_layer.png", "drift_by_layer.pdf"]
        assert all(
            path.exists() for path in (tmp_path / "mine.png", tmp_path / "mine.txt", tmp_path.parent / "out.png")
        )


def test_section_that_cannot_be_measured_is_left_out_with_its_reason(models, texts, only):
    def measure(inputs):
        assert inputs.rows is None
        raise DegenerateInputError("only sums were kept")

    only(_section(measure))
    result = run(models, ["full"], texts, controls=False, outputs=False, accumulate="moments")
    assert result.moved.left_out == {"weights": "only sums were kept"}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (None, None), (("none",), ()), (("all",), SECTIONS), (("grid,weights",), ("weights", "grid")), (("grid", "samples"), ("samples", "grid")),
    ],
)  # fmt: skip
def test_sections_are_named_with_commas_or_one_by_one(given, taken):
    assert ComparisonOptions(sections=given).sections == taken


@pytest.mark.parametrize(
    ("given", "sites", "taken"),
    [
        (("weights,sites",), (), (("weights",), ("attn_out", "mlp_out"))),
        (("sites",), (), ((), ("attn_out", "mlp_out"))),
        (("sites", "grid"), ("final_norm",), (("grid",), ("final_norm",))),
        (("grid",), (), (("grid",), ())),
    ],
)
def test_sites_may_be_asked_for_as_a_section(given, sites, taken):
    options = ComparisonOptions(sections=given, sites=sites)
    assert (options.sections, options.sites) == taken


@pytest.mark.parametrize(
    ("given", "said"),
    [("griid", "Did you mean 'grid'"), ("all,grid", "all and none stand alone"), ("", "unknown section ''")],
)
def test_wrong_names_of_sections_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        ComparisonOptions(sections=(given,))


def test_sections_that_are_not_by_default_are_measured_when_named(only):
    only(_section(lambda _inputs: SectionFound(), by_default=False))
    assert chosen_sections(ComparisonOptions()) == []
    assert [section.name for section in chosen_sections(ComparisonOptions(sections=("weights",)))] == ["weights"]
