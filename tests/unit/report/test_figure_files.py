"""Figures by name, format and width: what is written, what cannot be, and what the files hold."""

import base64
import io
import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.report.figure_files import chosen_figures, chosen_formats, figure_files
from repdrift.report.figure_size import FigureSize, figure_size
from repdrift.report.figures import figure_named, figures
from tests.command_line import run_here
from tests.unit.report.synthetic_results import Synthetic, report_data, write_results


@pytest.fixture(scope="module")
def data():
    return report_data(Synthetic(tasks=("sst2",), layers=3, seeds=(1, 2), measures=("cka",)))


def test_widths_are_those_of_the_venues():
    assert FigureSize("one-column", "acl").inches == pytest.approx(7.7 / 2.54)
    assert FigureSize("two-column", "acl").inches == pytest.approx(16.0 / 2.54) == pytest.approx((2 * 7.7 + 0.6) / 2.54)
    assert FigureSize("two-column", "neurips").inches == 5.5
    assert 2 * FigureSize("one-column", "neurips").inches < 5.5
    with pytest.raises(UnknownNameError, match=r"unknown venue 'icml'.*acl, neurips"):
        figure_size("one-column", "icml")


def test_a_figure_has_its_width_its_resolution_its_text_and_its_caption(data):
    spec = figure_named("drift_by_layer")
    files = figure_files(spec, data, ("png", "pdf", "svg"), FigureSize("one-column", "acl"))
    picture = Image.open(io.BytesIO(files["png"]))
    assert picture.size[0] == pytest.approx(7.7 / 2.54 * 300, abs=1)
    assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert picture.info["Title"] == "Drift by layer"
    assert picture.info["Description"] == spec.caption(data)
    svg = files["svg"].decode()
    assert ">full fine-tuning</text>" in svg, "text stays text"
    assert "<dc:title>Drift by layer</dc:title>" in svg
    (letters,) = re.findall(r"font-weight:400;src:url\(data:font/woff;base64,([^)]*)\)", svg)
    known = TTFont(io.BytesIO(base64.b64decode(letters))).getBestCmap()
    assert {ord(letter) for line in re.findall(r">([^<>]+)</text>", svg) for letter in line} <= known.keys(), (
        "the font is inside"
    )
    assert len(letters) < 40_000
    (box,) = re.findall(rb"/MediaBox \[([^\]]*)\]", files["pdf"])
    assert float(box.split()[2]) == pytest.approx(7.7 / 2.54 * 72, abs=0.01)
    assert b"/Type3" not in files["pdf"]
    assert b"/FontFile2" in files["pdf"], "fonts are embedded"
    again = figure_files(spec, data, ("svg",), FigureSize("one-column", "acl"))
    assert again["svg"] == files["svg"]


def test_names_that_are_not_there_and_figures_that_cannot_be_say_what_can(data):
    with pytest.raises(
        UnknownNameError, match=r"unknown figure 'drift_heatmp'. Did you mean 'drift_heatmap'\? Known: .*significance"
    ):
        chosen_figures(data, ["drift_heatmp"])
    expected = r"trajectory: no checkpoint before the final model was extracted; likeness: .*`analysis: \{likeness: true\}`.* can give overview, .*controls"
    with pytest.raises(DataError, match=expected):
        chosen_figures(data, ["likeness", "drift_heatmap", "trajectory"])
    with pytest.raises(UnknownNameError, match="unknown format 'jpg'.*Known: png, pdf, svg"):
        chosen_formats(["png", "jpg"])
    assert [spec.name for spec in chosen_figures(data, ["controls", "drift_heatmap", "controls"])] == [
        "drift_heatmap",
        "controls",
    ]
    for spec in figures():
        why = spec.absent(data)
        assert why is None or (why and not why.endswith(".") and why[0].islower())


def test_a_named_figure_is_drawn_alone_and_the_page_stays(tmp_path):
    results = write_results(tmp_path / "study", Synthetic(tasks=("sst2",), layers=2, seeds=(1, 2), measures=("cka",)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dashboard.html").write_text("mine")
    (tmp_path / "out" / "controls.png").write_text("mine")
    command = f"python -m repdrift visualize --results-file {results} --output-dir out --figures"
    done = run_here(f"{command} drift_reduction --format svg --width one-column --venue neurips", tmp_path)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "drift_reduction.svg",
        "captions.md",
        "dashboard.html",
        "controls.png",
    }
    assert (
        (tmp_path / "out" / "dashboard.html").read_text() == (tmp_path / "out" / "controls.png").read_text() == "mine"
    )
    assert "drift_reduction.svg" in done.stdout
    assert f'width="{2.65 * 72:.1f}pt"' in (tmp_path / "out" / "drift_reduction.svg").read_text()
    words = (tmp_path / "out" / "captions.md").read_text()
    assert "## drift\\_reduction: How much less drift" in words or "## drift_reduction: How much less drift" in words
    assert "Drift reduction: SST-2" in words
    failed = run_here(f"{command} nothing", tmp_path, fails=True)
    assert "unknown figure 'nothing'" in failed.stderr


def test_the_page_on_figures_has_a_row_for_each():
    rows = re.findall(
        r"^\| `(\w+)` \|", (Path(__file__).parents[3] / "docs" / "howto" / "figures.md").read_text(), re.MULTILINE
    )
    assert sorted(rows) == sorted(spec.name for spec in figures())
