import errno
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from repdrift.core.errors import DataError, StorageError
from repdrift.drift import analyze
from repdrift.report import build, figure_files, rendering, visualize
from repdrift.report.figures import figures
from repdrift.report.report_data import read_report_data
from tests.unit.drift.study_on_disk import Study
from tests.unit.report.page.study.read_page import OWN_SCRIPTS
from tests.unit.report.synthetic_results import Synthetic, report_data, write_results

FIGURES = [spec.name for spec in figures()]
ALWAYS = {"drift_heatmap", "drift_by_layer", "drift_reduction", "significance", "controls"}
"""Where two methods are compared."""
ALL_FILES = {f"{n}.{e}" for n in FIGURES for e in ("png", "pdf")} | {"dashboard.html", "captions.md"}


def drawn_as_words(spec, data, formats, size):
    """Files that hold no picture: what is asked of the page and the folder does not depend on it."""
    return {kind: kind.encode() for kind in formats}


@pytest.fixture(scope="module", autouse=True)
def _coarse_pictures():
    """What is asked of the files here does not depend on how many dots they have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "DPI", 30)
        yield


@pytest.fixture(scope="module")
def results_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    study = Study(root)
    analyze(study.plan(study="<b>x</b>", alpha=0.05), root / "out")
    return root / "out" / "drift_analysis_results.json"


@pytest.fixture(scope="module")
def files(results_file, tmp_path_factory):
    return visualize(results_file, tmp_path_factory.mktemp("figures"))


@pytest.fixture(scope="module")
def one_sided(tmp_path_factory):
    study = Synthetic(tasks=("sst2",), methods=("lora",), seeds=(1,), layers=2, inference=False)
    return write_results(tmp_path_factory.mktemp("one_sided"), study)


def test_every_figure_is_written_as_png_and_pdf(results_file, files):
    folder = files.dashboard.parent
    drawn = {spec.name for spec in figures() if spec.possible(read_report_data(results_file))}
    expected = {f"{n}.{e}" for n in drawn for e in ("png", "pdf")} | {"dashboard.html", "captions.md"}
    assert {p.name for p in files.written} == {p.name for p in folder.iterdir()} == expected
    assert drawn >= ALWAYS
    for name in drawn:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        pdf = (folder / f"{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")
        assert b"/Type3" not in pdf, "text in the PDF should be TrueType, which journals take"


def test_page_holds_everything_escapes_names_and_loads_nothing(results_file, files):
    page = files.dashboard.read_text().replace("\u00a0", " ")
    for path in files.written:
        assert (f'href="{path.name}"' in page) == (path.suffix in (".png", ".pdf")), path.name
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x</b>" not in page
    before_its_program = page[: page.index(OWN_SCRIPTS)]
    loaded = set(re.findall(r"(?:src|href)=\"(?!#)([^\"]*)", before_its_program))
    assert loaded <= {path.name for path in files.written}
    results = json.loads(results_file.read_text())
    for test in results["tests"]:
        if test["task"] == "all" and test["layer"] is None:
            assert test["sentence"].replace("'", "&#39;") in page


def test_same_results_give_the_same_files(one_sided, tmp_path):
    first, second = (visualize(one_sided, tmp_path / name) for name in ("first", "second"))
    for a, b in zip(first.written, second.written, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_missing_runs_are_shown_as_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "figure_files", drawn_as_words)  # the page alone is looked at
    study = Study(tmp_path)
    for seed in study.seeds:
        shutil.rmtree(study.folder("mrpc", "lora", seed))
    analyze(study.plan(), tmp_path / "out")
    page = visualize(tmp_path / "out/drift_analysis_results.json", tmp_path / "figures").dashboard.read_text()
    assert "3 of 12 planned runs are not there" in page
    assert page[: page.index(OWN_SCRIPTS)].count("make mrpc lora") == 3


def test_figures_of_an_earlier_larger_analysis_are_taken_away(one_sided, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "figure_files", drawn_as_words)
    for name in ALL_FILES | {"mine.png"}:
        (tmp_path / name).write_text("old")
    names = {p.name for p in visualize(one_sided, tmp_path).written}
    assert "drift_heatmap.png" in names
    assert "significance.png" not in names
    assert {p.name for p in tmp_path.iterdir()} == names | {"mine.png"}
    assert "old" not in {p.read_bytes()[:3].decode("latin1") for p in tmp_path.iterdir() if p.name != "mine.png"}


def test_nothing_is_written_before_everything_is_drawn(one_sided, tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("no page")

    monkeypatch.setattr(build, "figure_files", drawn_as_words)
    monkeypatch.setattr(build, "study_page", fails)
    with pytest.raises(RuntimeError, match="no page"):
        visualize(one_sided, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_a_full_disk_leaves_the_earlier_files_as_they_were(one_sided, tmp_path, monkeypatch):
    for name in ALL_FILES:
        (tmp_path / name).write_text("old")

    def full_at_the_page(path, content):
        if "dashboard" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(content)

    monkeypatch.setattr(build, "figure_files", drawn_as_words)
    monkeypatch.setattr(Path, "write_bytes", full_at_the_page)
    with pytest.raises(StorageError, match=r"no space left while writing .*dashboard\.html"):
        visualize(one_sided, tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys(ALL_FILES, "old")


def test_a_file_in_place_of_the_folder_is_named(one_sided, tmp_path):
    (tmp_path / "figures").write_text("x")
    with pytest.raises(StorageError, match="figures: it is a file"):
        visualize(one_sided, tmp_path / "figures")


def test_bad_results_are_one_message_and_nothing_is_written(tmp_path):
    (tmp_path / "drift_analysis_results.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        visualize(tmp_path / "drift_analysis_results.json", tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_report_needs_no_torch():
    code = "import repdrift.report, sys; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_figures_over_models_that_have_not_learnt_say_so_on_their_face(monkeypatch):
    said = []
    monkeypatch.setattr(figure_files, "rendered", lambda draw, *_, **__: said.append(draw().get_supxlabel()))
    usual = Synthetic(tasks=("sst2",), seeds=(1, 2), layers=2, inference=False)
    for study in (replace(usual, not_learnt=(("sst2", "lora", 1),)), replace(usual, learnt=None), usual):
        data = report_data(study)
        for spec in figures():
            if spec.possible(data):
                figure_files.figure_files(spec, data)
    third = len(said) // 3
    assert all(text.endswith("1 of 4 models has not learnt the task.") for text in said[:third])
    assert all("f 4 of 4 models it is not known whether they have learnt" in text for text in said[third : 2 * third])
    assert not any("learnt" in text for text in said[2 * third :])
