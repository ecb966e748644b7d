"""Every command about a study takes it by its place, as `run` does, or by --config."""

import pytest

from tests.command_line import run_here

COMMANDS = ("status", "tune", "train", "extract", "evaluate", "analyze")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_study_that_is_named_twice_is_refused(command, tmp_path):
    done = run_here(f"python -m repdrift {command} demo --config demo", tmp_path, fails=True)
    assert "given twice, as 'demo' and as --config 'demo'" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_place_names_the_same_study_as_the_option(command, tmp_path):
    absent = [
        run_here(f"python -m repdrift {command} {given}", tmp_path, fails=True).stderr
        for given in ("mine.yaml", "--config mine.yaml")
    ]
    assert absent[0] == absent[1]
    assert "mine.yaml" in absent[0]


def test_status_of_a_packaged_study_by_its_name(tmp_path):
    by_place = run_here("python -m repdrift status demo", tmp_path).stdout
    assert by_place == run_here("python -m repdrift status --config demo", tmp_path).stdout
    assert by_place.startswith("0 of ")
