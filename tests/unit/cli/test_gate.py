"""The gate of `repdrift compare` on tiny models: exit codes, files, and that nothing which could not be judged passes."""

from xml.etree import ElementTree

import pytest

from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from tests.command_line import run_here
from tests.tiny_models import save_llama, write_sentences

QUICK = "--with none --no-outputs --no-controls"


def junit(path):
    return ElementTree.parse(path).getroot()  # noqa: S314  our own file


@pytest.fixture(scope="module")
def work(tmp_path_factory, tiny_bert, tuned_bert):
    """A folder with texts, in which `base` and `tuned` are the tiny models."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "base").symlink_to(tiny_bert)
    (folder / "tuned").symlink_to(tuned_bert)
    write_sentences(folder / "lines.txt", 40)
    return folder


def gated(folder, options, models="tuned", **more):
    return run_here(
        f"python -m repdrift compare base {models} --data lines.txt {QUICK} {options}", folder, fails=None, **more
    )


@pytest.fixture(scope="module")
def failed(work):
    """A gate that fails, with all its files."""
    summary = work / "step.md"
    summary.write_text("# earlier step\n")
    options = (
        "--fail-above 0.001 --fail-layers mean,1-2 --junit out/gate.xml --markdown-summary gate.md --github-summary"
    )
    return gated(work, options, GITHUB_STEP_SUMMARY=str(summary))


def test_a_failed_gate_exits_with_3_and_says_so_last(failed):
    assert failed.returncode == 3
    said = failed.stdout.splitlines()
    assert any(line.startswith("gate failed: 3 of 3 numbers shown to be above the limit") for line in said)


def test_a_failed_gate_writes_its_files_and_appends_to_what_github_shows(work, failed):
    names = [case.get("name") for case in junit(work / "out" / "gate.xml").iter("testcase")]
    assert names == ["drift in layer 1", "drift in layer 2", "mean drift over layers 1 to 2"]
    markdown = (work / "gate.md").read_text()
    assert markdown.startswith("## repdrift gate: failed")
    assert (work / "step.md").read_text() == f"# earlier step\n{markdown}"
    assert str(work) not in markdown + (work / "out" / "gate.xml").read_text()


def test_a_width_that_is_not_known_is_told_before_anything_is_run(work):
    done = run_here("python -m repdrift compare none none --data none --width three-column", work, fails=1)
    assert "three-column" in done.stderr
    assert "two-column" in done.stderr


def test_another_measure_gets_an_interval_and_passes(work):
    done = gated(work, "--fail-above 1.9 --fail-measure cosine_centered")
    assert done.returncode == 0, done.stdout
    result = Comparison.read(work / "results" / "comparison" / COMPARISON_FILE)
    for at in result.models[0].layers:
        found = at.intervals["cosine_centered"]
        assert found.low < 1 - at.values["cosine_centered"] < found.high
        assert found.freedom == at.freedom == 39
    table = (work / "results" / "comparison" / "drift.csv").read_text()
    assert sum("jackknife" in line for line in table.splitlines()) == 6


def test_with_json_the_verdict_is_not_in_the_answer(work):
    done = gated(work, "--fail-above 0.001 --json --layer 1")
    assert done.returncode == 3
    assert done.stdout.startswith("{")
    assert "gate failed" not in done.stdout
    assert "gate failed" in done.stderr


def test_a_model_that_cannot_be_compared_makes_the_gate_unjudged(work, tmp_path):
    other = save_llama(tmp_path / "other", width=24)
    done = gated(work, "--fail-above 0.99 --junit gate.xml", models=f"tuned {other}")
    assert done.returncode == 4
    assert "could not be judged" in done.stdout
    assert junit(work / "gate.xml").get("errors") != "0"


def test_an_error_of_the_command_replaces_the_files_of_an_earlier_run(work):
    (work / "stale.xml").write_text("<testsuites name='all is well'/>")
    done = gated(
        work, "--fail-above 0.3 --junit stale.xml --markdown-summary stale.md", models=str(work / "no" / "nowhere")
    )
    assert done.returncode == 1
    assert str(work) not in (work / "stale.md").read_text()
    assert junit(work / "stale.xml").get("errors") == "1"
    assert "nowhere" in (work / "stale.md").read_text()


def test_a_command_that_is_killed_leaves_no_earlier_verdict(work, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_, **__):
        raise Killed

    monkeypatch.setattr("repdrift.comparison.comparing.compare", killed)
    (work / "killed.xml").write_text("<testsuites name='all is well'/>")
    (work / "step2.md").write_text("# earlier step\n")
    options = "--fail-above 0.3 --junit killed.xml --markdown-summary killed.md --github-summary"
    with pytest.raises(Killed):
        gated(work, options, GITHUB_STEP_SUMMARY=str(work / "step2.md"))
    assert junit(work / "killed.xml").get("errors") == "1"
    assert "did not finish" in (work / "killed.md").read_text()
    assert (work / "step2.md").read_text() == "# earlier step\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--fail-above 30", "For 30 % write 0.3"),
        ("--junit gate.xml", "--junit has no effect without a gate"),
        ("--github-summary", "--github-summary has no effect without a gate"),
        ("--fail-layers 2", "--fail-layers without --fail-above"),
        ("--fail-above 0.3 --fail-measure ckaa", "Did you mean 'cka'"),
        ("--fail-above 0.3 --pooling tokens", "pool them"),
        ("--fail-above 0.3 --layer 0 --fail-layers 0-1", "1 not among the layers that --layer names"),
        ("--outcome forgetting=0.05", "--no-outputs leaves out"),
        ("--fail-above 0.3 --github-summary", "GITHUB_STEP_SUMMARY is not set"),
        ("--fail-above 0.3 --junit x --markdown-summary x", "need a file each"),
        ("--fail-above 0.3 --junit .", "is a folder"),
    ],
)
def test_a_gate_that_cannot_work_is_refused_before_anything_is_run(work, options, said, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    before = sorted(work.iterdir())
    done = gated(work, options)
    assert done.returncode == 1
    assert said in done.stderr
    assert sorted(work.iterdir()) == before


def test_a_file_that_cannot_be_written_is_said_before_anything_is_run(work):
    (work / "file").write_text("")
    done = gated(work, "--fail-above 0.3 --junit file/gate.xml")
    assert done.returncode == 1
    assert "running" not in done.stderr
