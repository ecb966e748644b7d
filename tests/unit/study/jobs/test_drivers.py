"""Two drivers of one study: of one configuration they share its jobs, of another the second is refused."""

import os

import pytest

from repdrift.core.errors import ConfigError
from repdrift.study.config import parse_study
from repdrift.study.jobs.claims import is_held, job_claim
from repdrift.study.jobs.drivers import driving, living_drivers
from repdrift.study.jobs.graph import StudyJob
from repdrift.study.jobs.job_state import JobState, state_file
from repdrift.study.jobs.plan_file import make_plan, write_plan


def plan_of(**changes):
    content = {
        "name": "s",
        "model": "m",
        "tasks": ["sst2"],
        "seeds": [1],
        "training": {"all": {"epochs": 3}},
        **changes,
    }
    return make_plan(parse_study(content, where="test"), "s.yaml", None)


def test_the_second_of_one_configuration_shares_the_work(tmp_path, capsys):
    with driving(tmp_path, plan_of(), "in-process", 1):
        assert [driver.pid for driver in living_drivers(tmp_path)] == [os.getpid()]
        with driving(tmp_path, plan_of(), "local", 2):
            assert f"process {os.getpid()} on " in capsys.readouterr().err
            assert len(living_drivers(tmp_path)) == 2
        assert len(living_drivers(tmp_path)) == 1
    assert living_drivers(tmp_path) == []
    assert [path.name for path in (tmp_path / "drivers").iterdir()] == [".guard.lock"]


def test_the_second_of_another_configuration_is_refused_and_told_who_and_what(tmp_path):
    first, second = plan_of(), plan_of(training={"all": {"epochs": 1}})
    with driving(tmp_path, first, "local", 2):
        write_plan(first, tmp_path, exact=True)
        with pytest.raises(ConfigError) as caught, driving(tmp_path, second, "local", 2):
            pytest.fail("not refused")
        assert f"process {os.getpid()} on " in str(caught.value)
        assert "training.all.epochs 3.0 -> 1.0" in str(caught.value)
        assert "another results_dir" in str(caught.value)
        part = make_plan(parse_study(first.config | {"tasks": ["sst2", "rte"]}, where="test"), "s.yaml", ["rte"])
        with pytest.raises(ConfigError, match="tasks sst2 -> rte"), driving(tmp_path, part, "local", 2):
            pytest.fail("not refused")
    with driving(tmp_path, second, "local", 2):
        pass


def test_a_dead_driver_holds_nobody_up(tmp_path):
    with driving(tmp_path, plan_of(), "local", 2):
        (record,) = (tmp_path / "drivers").glob("*.json")
        text = record.read_text()
    dead = tmp_path / "drivers" / "dead.json"
    dead.write_text(text)
    dead.with_suffix(".lock").write_text("")
    assert living_drivers(tmp_path) == []
    with driving(tmp_path, plan_of(seeds=[9]), "local", 2):
        assert not dead.exists()


JOB = StudyJob("train", "sst2", "lora", 1)


def running(folder, plan, **changed):
    JobState(
        **{"job": JOB.name, "plan": plan.digest, "host": os.uname().nodename, "pid": os.getpid(), "launcher": "slurm", "started": "2026-01-02T03:04:05+00:00"}
        | changed
    ).write(state_file(folder, JOB))  # fmt: skip


def refused_with(folder, plan):
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    with pytest.raises(ConfigError) as caught, driving(folder, plan, "in-process", 1):
        pytest.fail("not refused")
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before, "nothing is left of a refused start"
    return str(caught.value)


def test_a_job_of_another_configuration_that_outlived_its_driver_is_not_disturbed(tmp_path):
    first, second = plan_of(), plan_of(training={"all": {"epochs": 1}})
    write_plan(first, tmp_path, exact=True)
    running(tmp_path, first)
    with job_claim(tmp_path, JOB):
        words = refused_with(tmp_path, second)
        assert words.startswith(
            f"{JOB.name} of this study runs with another configuration (training.all.epochs 3.0 -> 1.0): process {os.getpid()} on "
        )
        assert "by the launcher 'slurm'" in words
        with driving(tmp_path, first, "local", 2):
            pass
    with driving(tmp_path, second, "local", 2):
        pass


def test_a_job_on_another_machine_whose_locks_are_not_seen_is_known_by_its_signs_of_life(tmp_path):
    first, second = plan_of(), plan_of(seeds=[9])
    running(tmp_path, first, host="elsewhere")
    assert "elsewhere" in refused_with(tmp_path, second)
    silent = state_file(tmp_path, JOB)
    os.utime(silent, (silent.stat().st_mtime - 150,) * 2)
    with driving(tmp_path, second, "local", 2):
        pass


def test_a_lock_file_that_is_not_there_is_held_by_nobody(tmp_path):
    assert not is_held(tmp_path / "no.lock")
    assert not (tmp_path / "no.lock").exists()
