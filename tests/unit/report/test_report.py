import json
import re
import subprocess
import sys

import pytest

from repdrift.core.errors import DataError
from repdrift.drift import analyze
from repdrift.report import visualize
from repdrift.report.figures import figures
from tests.unit.drift.conftest import Study

FIGURES = [spec.name for spec in figures()]


@pytest.fixture(scope="module")
def results_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    study = Study(root)
    analyze(study.plan(study="<b>x</b>", alpha=0.05), root / "out")
    return root / "out" / "drift_analysis_results.json"


def test_every_figure_is_written_as_png_and_pdf(results_file, tmp_path):
    files = visualize(results_file, tmp_path)
    assert {p.name for p in files.written} == {f"{n}.{e}" for n in FIGURES for e in ("png", "pdf")} | {"dashboard.html"}
    for name in FIGURES:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        pdf = (tmp_path / f"{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")
        assert b"/Type3" not in pdf, "text in the PDF should be TrueType, which journals take"


def test_dashboard_holds_everything_escapes_names_and_loads_nothing(results_file, tmp_path):
    page = visualize(results_file, tmp_path).dashboard.read_text()
    assert page.count('src="data:image/png;base64,') == len(FIGURES)
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x</b>" not in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    results = json.loads(results_file.read_text())
    for test in results["tests"]:
        if test["task"] == "all" and test["layer"] is None:
            assert test["sentence"].replace("'", "&#39;") in page


def test_same_results_give_the_same_files(results_file, tmp_path):
    first, second = visualize(results_file, tmp_path / "a"), visualize(results_file, tmp_path / "b")
    for a, b in zip(first.written, second.written, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


@pytest.mark.parametrize(
    ("tasks", "seeds", "methods"),
    [
        (("a$b$",), (1,), ("full_finetune", "lora")),
        (("one", "two", "three"), (1, 2), ("lora",)),
        (("only",), (1,), ("full_finetune",)),
    ],
)
def test_small_and_one_sided_studies_are_drawn_too(tmp_path, tasks, seeds, methods):
    analyze(Study(tmp_path, tasks=tasks, seeds=seeds, methods=methods).plan(), tmp_path / "out")
    names = {p.stem for p in visualize(tmp_path / "out/drift_analysis_results.json", tmp_path / "figures").written}
    assert "drift_heatmap" in names
    assert ("significance" in names) == (len(methods) == 2)


def test_missing_runs_are_shown_as_missing(tmp_path):
    import shutil

    study = Study(tmp_path)
    for seed in study.seeds:
        shutil.rmtree(study.folder("mrpc", "lora", seed))
    analyze(study.plan(), tmp_path / "out")
    page = visualize(tmp_path / "out/drift_analysis_results.json", tmp_path / "figures").dashboard.read_text()
    assert "missing" in page
    assert "3 of 12 planned runs are not there" in page
    assert page.count("make mrpc lora") == 3


def test_bad_results_are_one_message_and_nothing_is_written(tmp_path):
    (tmp_path / "drift_analysis_results.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        visualize(tmp_path / "drift_analysis_results.json", tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_report_needs_no_torch():
    code = "import repdrift.report, sys; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
