"""The choice of a launcher on the command line."""

from contextlib import ExitStack

import pytest

from repdrift.core.errors import ConfigError, RepdriftError, UnknownNameError
from repdrift.study.config import parse_study
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs import study_launch
from repdrift.study.jobs.claims import job_claim
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.job_state import new_state, state_file
from repdrift.study.jobs.launcher import LauncherKind, launchers
from repdrift.study.jobs.plan_file import make_plan, read_plan, write_plan
from repdrift.study.jobs.slurm.array_files import ArrayElementRecord, SubmittedArray, write_array
from repdrift.study.jobs.study_launch import LaunchChoice, run_jobs
from tests.command_line import run_here
from tests.unit.study.jobs.scripted_launcher import ScriptedLauncher


def test_one_job_runs_here_and_several_in_local_processes():
    assert LaunchChoice().kind().name == "in-process"
    assert LaunchChoice(jobs=3).kind().name == "local"
    assert LaunchChoice("local", 1).kind().name == "local"


def test_a_choice_that_cannot_be_is_refused():
    with pytest.raises(UnknownNameError, match="unknown launcher 'localx'. Did you mean 'local'"):
        LaunchChoice("localx").kind()
    with pytest.raises(ConfigError, match="runs one job at a time"):
        LaunchChoice("in-process", 2).kind()
    with pytest.raises(ConfigError, match="--launcher-option of local: partition: unknown key"):
        LaunchChoice("local", options={"partition": "gpu"}).parsed_options()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--launcher-option a", "expected NAME=VALUE, got 'a'"),
        ("--launcher-option a=1 --launcher-option a=2", "a is given twice"),
        ("--set seeds=[1] --set seeds=[2]", "seeds is given twice"),
        ("--model x --set model=y", "--model and --set model=y give the same field"),
        ("--pooling first --set extraction.pooling=mean", "--pooling and --set extraction.pooling=mean give the same field"),
        ("--pooling first --set 'extraction={pooling: mean}'", "give the same field"),
    ],
)  # fmt: skip
def test_wrong_options_of_run_are_one_message_and_nothing_is_written(tiny_study, tmp_path, options, message):
    before = sorted(tmp_path.rglob("*"))
    said = run_here(f"python -m repdrift run {tiny_study} {options}", tmp_path, fails=True).stderr
    assert message in " ".join(said.split())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def started_before(tmp_path, tiny_bert):
    """The inputs of a study that was started before with other seeds, and its jobs folder as it was left."""
    content = {
        "name": "s",
        "model": str(tiny_bert),
        "tasks": ["sst2"],
        "methods": ["lora"],
        "results_dir": str(tmp_path / "results"),
    }
    folder = tmp_path / "results/jobs"
    write_plan(make_plan(parse_study({**content, "seeds": [1]}, where="test"), None, None), folder, exact=True)
    return StudyInputs(parse_study({**content, "seeds": [2]}, where="test")), folder


def written_below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".guard.lock"}


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        (LaunchChoice("slurm"), "has no sbatch"),
        (LaunchChoice("ray", options={"address": "127.0.0.1:1"}), "127.0.0.1:1"),
        (LaunchChoice("refuses"), "no machine here"),
    ],
)
def test_a_launcher_that_cannot_start_leaves_the_plan_of_the_earlier_start(
    started_before, monkeypatch, launch, message
):
    inputs, folder = started_before
    before = written_below(folder)

    def refuse(_setting, _options):
        raise ConfigError("no machine here")

    monkeypatch.setattr(study_launch, "_demand", lambda *_: {})
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(launchers._entries, "refuses", LauncherKind("refuses", "", refuse))
    with pytest.raises(RepdriftError, match=message):
        run_jobs(inputs, None, launch)
    assert written_below(folder) == before


def test_a_job_of_the_earlier_plan_that_begins_while_a_launcher_starts_stops_the_later_start(
    started_before, monkeypatch
):
    inputs, folder = started_before
    job, earlier = StudyJob("train", "sst2", "lora", 1), read_plan(folder / "plan.json")
    before = (folder / "plan.json").read_bytes()
    launcher, claims = ScriptedLauncher(1), ExitStack()

    def start(_setting, _options):  # a job that was in a queue begins
        new_state(job, earlier.digest, "slurm", None).write(state_file(folder, job))
        claims.enter_context(job_claim(folder, job))
        return launcher

    monkeypatch.setitem(launchers._entries, "slow", LauncherKind("slow", "", start))
    with (
        claims,
        pytest.raises(
            ConfigError,
            match=r"train/sst2/lora/seed1 of this study runs with another configuration \(seeds\.0 1 -> 2\)",
        ),
    ):
        run_jobs(inputs, None, LaunchChoice("slow"))
    assert (folder / "plan.json").read_bytes() == before
    assert launcher.is_shut
    assert not launcher.has_begun
    assert launcher.submitted == []
    assert not list((folder / "drivers").glob("*.json"))


def test_another_launcher_says_what_an_earlier_configuration_has_in_slurms_queue(started_before, monkeypatch, capsys):
    inputs, folder = started_before
    element = ArrayElementRecord(element="101_0", job="train/sst2/lora/seed1", token="t")
    write_array(
        folder,
        SubmittedArray(
            array="101",
            cluster="slurm",
            plan="of before",
            submitted="s",
            memory_gb=None,
            time_limit_min=1,
            elements=[element],
        ),
    )
    launcher = ScriptedLauncher(1)
    monkeypatch.setitem(launchers._entries, "here", LauncherKind("here", "", lambda *_: launcher))
    run_jobs(inputs, None, LaunchChoice("here"))
    assert launcher.has_begun
    assert "1 job of an earlier configuration of this study may still be queued in Slurm" in capsys.readouterr().err
    assert read_plan(folder / "plan.json").digest == make_plan(inputs.config, None, None).digest
