"""Empty values, as unset variables of a shell give them, are errors and never the working folder."""

import pytest

from repdrift.cli.empty_values import require_values
from repdrift.core.errors import ConfigError, DataError
from repdrift.study.config import parse_study
from repdrift.tasks import load_rows, task
from tests.command_line import run_here


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("train --data ''", "--data"),
        ("train --train-data=", "--train-data"),
        ("train --results-dir '  '", "--results-dir"),
        ("extract --base-dir ''", "--base-dir"),
        ("extract --model=''", "--model"),
        ("analyze --output-dir ''", "--output-dir"),
        ("visualize --results-file ''", "--results-file"),
        ("visualize --config ''", "--config"),
        ("status --results-dir ''", "--results-dir"),
        ("tasks --data-dir ''", "--data-dir"),
        ("compare a b --data ''", "--data"),
        ("compare a b --data x -- ''", "an argument"),
        ("pull x --output-dir ''", "--output-dir"),
        ("demo --output-dir ''", "--output-dir"),
        ("train -t ''", "-t"),
        ("compare '' b --data x", "an argument"),
        ("compare a '' --data x", "an argument"),
        ("push '' x", "an argument"),
        ("push x ''", "an argument"),
        ("pull ''", "an argument"),
        ("verify ''", "an argument"),
        ("run ''", "an argument"),
        ("power ''", "an argument"),
        ("measures ''", "an argument"),
    ],
)
def test_an_empty_value_is_named(command, named, tmp_path):
    done = run_here(f"python -m repdrift {command}", tmp_path, fails=True)
    assert done.returncode == 1, done.stderr
    assert f"{named} is empty. Is a variable of the shell not set?" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [[], ["--version"], ["train", "--separator", " "], ["train", "--separator= "], ["compare", "a=", "b"]]
)
def test_other_command_lines_pass(words):
    require_values(words)


def test_an_empty_separator_is_refused():
    with pytest.raises(ConfigError, match="the value of --separator is empty"):
        require_values(["train", "--separator", ""])


@pytest.mark.parametrize("key", ["results_dir", "base_dir", "data_dir"])
def test_an_empty_folder_in_a_study_is_refused(key):
    with pytest.raises(ConfigError, match=f"{key}: it is empty"):
        parse_study({"name": "s", "model": "m", key: " "}, where="s")


def test_empty_variables_are_named(tmp_path, monkeypatch):
    done = run_here("python -m repdrift status", tmp_path, fails=True, REPDRIFT_CONFIG="")
    assert "$REPDRIFT_CONFIG is empty" in done.stderr
    monkeypatch.setenv("REPDRIFT_DATA", "")
    with pytest.raises(DataError, match=r"\$REPDRIFT_DATA is empty"):
        load_rows(task("sst2"), "train")
