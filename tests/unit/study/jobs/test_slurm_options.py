"""The options of the launcher of job arrays: what is taken, and what is refused before anything is submitted."""

import pytest

from repdrift.core.errors import ConfigError
from repdrift.study.jobs.launcher import JobDemand
from repdrift.study.jobs.slurm.options import SlurmOptions, array_parameters, memory_gb, time_limit_min
from repdrift.study.jobs.study_launch import LaunchChoice


def options(**given):
    return LaunchChoice("slurm", options=given).parsed_options()


def parameters(**given):
    given_options = SlurmOptions.model_validate(given)
    return array_parameters(given_options, [], name="n", cpus=2, runs_models=True, after=["7", "12"])


@pytest.mark.parametrize(
    ("text", "minutes"), [("90", 90), ("01:30:00", 90), ("2-00:00:01", 2881), ("00:00:30", 1), ("100:00:00", 6000)]
)
def test_a_time_is_minutes_or_as_slurm_writes_it(text, minutes):
    assert options(time=text).time == minutes


@pytest.mark.parametrize(("text", "gigabytes"), [("24GB", 24), ("512M", 0.5), ("1.5TB", 1536), ("8g", 8)])
def test_a_memory_has_its_unit(text, gigabytes):
    assert options(memory=text).memory == gigabytes


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("time", "2h", "expected minutes, HH:MM:SS or D-HH:MM:SS"),
        ("time", "1:99:00", "expected minutes"),
        ("time", "0", "greater than or equal to 1"),
        ("memory", "24", "expected a number with its unit, such as 24GB"),
        ("memory", "0GB", "greater than 0"),
        ("partition", "gpu\nrm -rf /", "partition"),
        ("partition", "  ", "got blanks"),
        ("setup", "module load a\r\nexit 1", "setup"),
        ("gpus", "one", "a whole number"),
        ("partitoin", "gpu", "did you mean 'partition'"),
        ("sbatch.partition", "gpu", "give it as partition=VALUE"),
        ("sbatch.array", "0-3", "the launcher sets it itself"),
        ("sbatch.output", "x", "the launcher sets it itself"),
        ("sbatch.-p", "x", "a long option of sbatch without its dashes"),
        ("sbatch.nice=1 --wrap", "x", "a long option of sbatch"),
        ("sbatch.comment", "a\nrm -rf /", "one line without control characters"),
        ("sbatch", "nice", "sbatch.NAME=VALUE passes an option on"),
        ("cluster", "pbs", "cluster"),
        ("on_ctrl_c", "die", "on_ctrl_c"),
    ],
)
def test_what_slurm_or_the_shell_would_take_otherwise_is_refused(name, value, said):
    with pytest.raises(ConfigError) as refused:
        options(**{name: value})
    assert "--launcher-option of slurm: " in str(refused.value)
    assert said in str(refused.value)


def test_every_fault_is_told_at_once():
    with pytest.raises(ConfigError) as refused:
        options(time="2h", partitoin="gpu", **{"sbatch.array": "1"})
    said = str(refused.value)
    assert [part in said for part in ("HH:MM:SS", "did you mean 'partition'", "the launcher sets it itself")] == [
        True
    ] * 3


def test_other_options_of_sbatch_are_passed_on_and_an_empty_one_is_a_flag():
    given = parameters(**{"sbatch.nice": "100", "sbatch.exclusive": "", "sbatch.mail-user": "a b@c"})
    assert given["slurm_additional_parameters"] == {
        "requeue": True, "nice": "100", "exclusive": True, "mail-user": "a b@c",
    }  # fmt: skip


def test_what_was_not_given_is_left_to_slurm():
    given = parameters()
    assert not {"slurm_partition", "slurm_account", "slurm_qos", "slurm_setup"} & set(given)
    assert given["mem_gb"] is None
    assert given["gpus_per_node"] is None
    assert given["slurm_dependency"] == "afterany:7:12"


def test_time_and_memory_come_from_the_account_with_room_to_spare():
    demands = [JobDemand(), JobDemand(memory_bytes=10 << 30, seconds=3 * 3600.0)]
    assert time_limit_min(SlurmOptions(), demands) == 540
    assert time_limit_min(SlurmOptions(), []) == 240, (
        "a job goes on after its limit; a few seconds by account are no limit"
    )
    assert memory_gb(SlurmOptions(gpus=1), demands) == 17
    assert memory_gb(SlurmOptions(), demands) == 32, "a processor keeps memory for each length of text"
    assert (time_limit_min(SlurmOptions(time=30), demands), memory_gb(SlurmOptions(memory=4), demands)) == (30, 4)
