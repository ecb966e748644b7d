"""Commands that make a study again: with the options by which it differs from its file, and none else."""

import itertools
import shlex
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


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.all.epochs=1"],
        ["seeds=[3, 4]", "training.methods.lora.learning_rate=0.001"],
        ['training.tasks."my.task".epochs=2', "tasks=[mrpc, {name: my.task, validation: v.csv, text_columns: [text], label_column: label}]"],
        ["methods=[lora, {name: lora_r8, kind: lora, rank: 8, target_modules: [a, 'b c']}]", "reference=lora"],
        ["tune.trials=3"],
        ["general_text=false", "outcomes=[probes]", "name=other"],
        ["seeds.0=7", "analysis.replicates=0"],
    ],
)  # fmt: skip
def test_commands_of_a_study_whose_file_was_changed_since_make_the_study_that_was_run(file, overrides):
    was_run = load_study(file, overrides)
    (command, *_) = reproducing_commands(was_run, file, was_run.task_names)
    words = shlex.split(command)
    assert words[:3] == ["repdrift", "run", "my study.yaml"]
    again = load_study(file, [value for option, value in itertools.pairwise(words) if option == "--set"])
    assert again.model_copy(update={"analysis": was_run.analysis}) == was_run


def test_commands_take_away_what_the_file_has_and_the_study_has_not(file):
    tuned = load_study(file, ["tune.trials=3", "general_text=false", "training.all.epochs=3"])
    plain = load_study(file)
    Path(file).write_text(
        yaml.safe_dump({**STUDY, "tune": {"trials": 3}, "general_text": False, "training": {"all": {"epochs": 3}}})
    )
    assert load_study(file) == tuned
    (command,) = reproducing_commands(plain, file, plain.task_names)
    words = shlex.split(command)
    again = load_study(file, [value for option, value in itertools.pairwise(words) if option == "--set"])
    assert again.tune is None
    assert again.general_text == plain.general_text
    assert again.general_text is not None
    assert again.training_options("mrpc", "lora") == plain.training_options("mrpc", "lora")
