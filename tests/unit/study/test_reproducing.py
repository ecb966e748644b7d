"""Commands that make a study again: with the options by which it differs from its file, and none else."""

from pathlib import Path

import pytest
import yaml

from repdrift.study.config import load_study
from repdrift.study.reproducing import reproducing_commands

STUDY = {"name": "x", "model": "somebody/some-model", "tasks": ["mrpc", "sst2"], "seeds": [1]}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my study.yaml").write_text(yaml.safe_dump(STUDY))
    return "my study.yaml"


def commands(file, tasks=("mrpc", "sst2"), **changes):
    return reproducing_commands(load_study(file).model_copy(update=changes), file, tasks)


def test_a_study_as_its_file_says_is_one_command(file):
    assert commands(file) == ["repdrift run 'my study.yaml'"]


def test_options_of_the_command_line_are_given_again(file):
    found = commands(file, model="other/model", results_dir=Path("out here"))
    assert found == ["repdrift run 'my study.yaml' --model other/model --results-dir 'out here'"]


def test_part_of_the_tasks_is_named(file):
    assert commands(file, ("sst2",)) == ["repdrift run 'my study.yaml' --task sst2"]


def test_another_analysis_is_a_command_of_its_own(file):
    study = load_study(file)
    changed = study.analysis.model_copy(
        update={"measures": ("cka", "procrustes"), "weights": False, "alpha": 0.01, "equal_skill_score": {"mrpc": 0.8}}
    )
    assert commands(file, analysis=changed, base_dir=Path("b"))[1] == (
        "repdrift analyze --config 'my study.yaml' --base-dir b --measure cka --measure procrustes --alpha 0.01 "
        "--equal-skill-score mrpc=0.8 --no-weights"
    )


def test_a_file_that_is_gone_leaves_the_command_without_options(file):
    study = load_study(file)
    Path(file).unlink()
    assert reproducing_commands(study, file, study.task_names) == ["repdrift run 'my study.yaml'"]
    assert reproducing_commands(study, None, study.task_names) == ["repdrift run x"]
