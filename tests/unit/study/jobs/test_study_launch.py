"""The choice of a launcher on the command line."""

import pytest

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.study.jobs.study_launch import LaunchChoice
from tests.command_line import run_here


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
