"""repdrift table: from results, folders and studies, printed or written whole."""

import pytest

from repdrift.core.errors import ConfigError
from repdrift.report.tables import table_text
from tests.command_line import run_here
from tests.unit.report.glance.endings import compared, comparison
from tests.unit.report.synthetic_results import Synthetic, write_results


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the results of a study, its study file, and a comparison."""
    root = tmp_path_factory.mktemp("tables")
    write_results(root / "results/drift_analysis", Synthetic(tasks=("sst2", "rte"), layers=3))
    comparison(compared("one", [0.1, 0.2])).write(root / "compared/comparison.json")
    (root / "study.yaml").write_text(
        "name: mine\nmodel: packaged:minilm\ntasks: [sst2, rte]\nmethods: [full_finetune, lora]\nseeds: [1]\nresults_dir: results\n"
    )
    return root


@pytest.mark.parametrize(
    "source", ["results", "results/drift_analysis", "results/drift_analysis/drift_analysis_results.json", "study.yaml"]
)
def test_every_way_to_name_results_leads_to_the_same_table(root, source):
    done = run_here(f"python -m repdrift table {source}", root)
    assert "| SST-2 |" in done.stdout
    assert done.stdout == run_here("python -m repdrift table results", root).stdout


def test_a_comparison_is_told_from_a_study_by_its_file(root):
    assert "| one | 0.15 |" in run_here("python -m repdrift table compared", root).stdout
    assert "| one | 0.15 |" in run_here("python -m repdrift table compared/comparison.json --rows models", root).stdout


def test_a_file_is_written_whole_and_named(root, tmp_path):
    target = tmp_path / "new" / "table.tex"
    done = run_here(
        f"python -m repdrift table results --format latex --caption 'A & B' --label tab:ours --output {target}", root
    )
    assert done.stdout.strip() == str(target)
    text = target.read_text(encoding="utf-8")
    assert r"\caption{A \& B}" in text
    assert r"\label{tab:ours}" in text
    assert text.endswith("\\end{table}\n")
    assert text == table_text(root / "results", "latex", caption="A & B", label="tab:ours")
    before = sorted(tmp_path.rglob("*"))
    run_here(f"python -m repdrift table results --show p,drfit --output {tmp_path / 'never.md'}", root, fails=True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("nowhere/x.json", "no results at nowhere/x.json: it does not exist"),
        ("empty", "holds neither drift_analysis_results.json nor comparison.json"),
        ("broken.json", "is not valid JSON"),
        ("list.json", "holds no results"),
        ("results --rows arms --columns arms", "rows and columns are both 'arms'"),
        ("results --measure nope", "unknown measure 'nope'"),
        ("nostudy", "nostudy"),
    ],
)
def test_what_cannot_be_read_is_one_message_and_no_traceback(root, arguments, said):
    (root / "empty").mkdir(exist_ok=True)
    (root / "broken.json").write_text("{")
    (root / "list.json").write_text("[1]")
    done = run_here(f"python -m repdrift table {arguments}", root, fails=True)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("options", ["--rows seeds", "--digits 0", "--digits 7", "--format pdf"])
def test_wrong_usage_ends_with_2(root, options):
    assert run_here(f"python -m repdrift table results {options}", root, fails=True).returncode == 2


def test_wrong_options_in_python_are_configuration_errors(root):
    with pytest.raises(ConfigError, match="digits lie between 1 and 6"):
        table_text(root / "results", digits=9)
    with pytest.raises(ConfigError, match="latex, markdown or csv"):
        table_text(root / "results", "pdf")  # pyright: ignore[reportArgumentType]
