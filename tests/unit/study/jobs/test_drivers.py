"""Two drivers of one study: of one configuration they share its jobs, of another the second is refused."""

import os

import pytest

from repdrift.core.errors import ConfigError
from repdrift.study.config import parse_study
from repdrift.study.jobs.drivers import driving, is_held, living_drivers
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


def test_a_lock_file_that_is_not_there_is_held_by_nobody(tmp_path):
    assert not is_held(tmp_path / "no.lock")
    assert not (tmp_path / "no.lock").exists()
