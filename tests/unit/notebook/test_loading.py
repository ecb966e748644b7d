"""`repdrift.load_results` by folder or file; what is not there, or there twice, is said."""

import subprocess
import sys

import pytest

import repdrift
from repdrift.core.errors import DataError
from repdrift.notebook.comparison_results import ComparisonResults
from repdrift.notebook.study_view import StudyResults
from tests.unit.report.synthetic_comparison import compared, comparison
from tests.unit.report.synthetic_results import Synthetic, write_results


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    target = folder / "results" / "drift_analysis"
    target.mkdir(parents=True)
    write_results(target, Synthetic())
    return folder


@pytest.fixture
def compared_folder(tmp_path):
    comparison([compared("tuned", [0.1, 0.4])]).write(tmp_path / "comparison.json")
    return tmp_path


@pytest.mark.parametrize(
    "place", [".", "results", "results/drift_analysis", "results/drift_analysis/drift_analysis_results.json"]
)
def test_a_study_is_found_from_every_folder_above_its_results(study, place):
    found = repdrift.load_results(study / place)
    assert isinstance(found, StudyResults)
    assert found.folder == study / "results" / "drift_analysis"


@pytest.mark.parametrize("place", [".", "comparison.json"])
def test_a_comparison_is_read_as_it_was_written(compared_folder, place):
    found = repdrift.load_results(str(compared_folder / place))
    assert isinstance(found, ComparisonResults)
    assert found.record.models[0].name == "tuned"
    assert found.table.equals(found.record.to_pandas())
    assert "tuned" in found._repr_html_()
    assert found.figure_names == ["drift_by_layer"]
    assert "mean drift" in repr(found)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nowhere", "does not exist"),
        (lambda folder: folder, "they are looked for in it"),
        (lambda folder: (folder / "table.csv").write_text("") or folder / "table.csv", "no results file of this name"),
    ],
)
def test_what_is_not_there_is_said_with_what_is_looked_for(tmp_path, make, said):
    with pytest.raises(DataError, match="(?i)" + said) as caught:
        repdrift.load_results(make(tmp_path))
    assert "comparison.json" in str(caught.value)


def test_two_results_below_one_folder_are_both_named(compared_folder):
    inner = compared_folder / "results" / "comparison"
    inner.mkdir(parents=True)
    (inner / "comparison.json").write_bytes((compared_folder / "comparison.json").read_bytes())
    with pytest.raises(DataError, match="holds several results.*Name one"):
        repdrift.load_results(compared_folder)


def test_a_damaged_file_is_refused(compared_folder):
    file = compared_folder / "comparison.json"
    file.write_text(file.read_text().replace("0.4", "0.3", 1))
    with pytest.raises(DataError, match="changed or damaged"):
        repdrift.load_results(compared_folder)


def test_importing_repdrift_loads_nothing_heavy():
    code = "import sys, repdrift; print(sorted({'torch', 'pandas', 'matplotlib', 'numpy', 'pydantic', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
