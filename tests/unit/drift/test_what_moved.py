"""Sections of an analysis on what moved: measured where the plan names them, left out with a reason, their tables kept in step."""

import pandas as pd

from repdrift.core.errors import MissingRunError
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, DriftResults
from repdrift.core.records.what_moved import StudyMoved
from repdrift.drift import analyze, what_moved
from repdrift.drift.what_moved import StudyFound, StudySection
from repdrift.study.analysis_options import AnalysisOptions


def _section(measure):
    return StudySection("weights", 10, ("weights.parquet",), measure)


def test_plan_names_the_sections_and_their_tables_go_with_them(whole_study, tmp_path, monkeypatch):
    seen = []

    def measure(inputs):
        seen.append(inputs)
        return StudyFound(StudyMoved(), {"weights.parquet": pd.DataFrame({"layer": [0]})})

    monkeypatch.setattr(what_moved, "StudyMoved", lambda left_out, **_records: StudyMoved(left_out=left_out))
    monkeypatch.setattr(what_moved, "_REGISTRY", (_section(measure),))
    results, _ = analyze(whole_study.plan(sections=("weights",)), tmp_path)
    assert [sets.task for sets in seen[0].tasks] == list(whole_study.tasks)
    assert results.moved == StudyMoved()
    assert "weights.parquet" in DriftResults.read(tmp_path / RESULTS_FILE).table_sha256
    assert (tmp_path / "weights.parquet").is_file()
    results, _ = analyze(whole_study.plan(), tmp_path)
    assert results.moved is None
    assert not (tmp_path / "weights.parquet").exists()


def test_section_that_cannot_be_measured_is_left_out_with_its_reason_in_the_summary(whole_study, tmp_path, monkeypatch):
    def measure(inputs):
        raise MissingRunError("the trained models are not on this machine")

    monkeypatch.setattr(what_moved, "_REGISTRY", (_section(measure),))
    results, _ = analyze(whole_study.plan(sections=("weights",)), tmp_path)
    assert results.moved.left_out == {"weights": "the trained models are not on this machine"}
    assert "Weights: the trained models are not on this machine" in (tmp_path / SUMMARY_FILE).read_text()


def test_study_file_switches_sections():
    assert AnalysisOptions().sections() == ["weights", "likeness", "samples", "directions", "grid", "first_tokens"]
    assert AnalysisOptions(samples=False, likeness=False).sections() == [
        "weights",
        "directions",
        "grid",
        "first_tokens",
    ]
