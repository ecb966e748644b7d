"""Fields of a study that the command line sets: `--set FIELD=VALUE`."""

import shlex

import pytest

from repdrift.core.errors import ConfigError
from repdrift.study.config import load_study, packaged_study
from repdrift.study.given_study import StudyPath, config_words, given_study
from repdrift.study.reproducing import reproducing_commands
from repdrift.study.runs import RunId, repdrift_command

FILE = """
name: s
model: some/model
tasks: [sst2, {name: my.task, validation: v.csv, train: t.csv, text_columns: [text], label_column: label}]
methods: [full_finetune, {name: lora_r8, kind: lora, rank: 8}]
seeds: [1, 2]
training:
  all: {epochs: 3}
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "my study.yaml"
    path.write_text(FILE)

    def load(*overrides):
        return load_study(path, overrides)

    load.path = path
    return load


def test_fields_are_set_at_any_depth_and_the_file_is_left_as_it_is(study):
    changed = study(
        "training.all.epochs=1", "seeds=[3,4,5]", "training.methods.lora_r8.learning_rate=1e-3", "methods.1.rank=16",
        'training.tasks."my.task".max_length=64', "tasks.0=rte", "analysis.replicates=0",
    )  # fmt: skip
    assert changed.training.all.epochs == 1
    assert changed.seeds == (3, 4, 5)
    assert changed.training_options("my.task", "lora_r8").learning_rate == 0.001
    assert changed.arm("rte", "lora_r8").options.rank == 16
    assert changed.training_options("my.task", "full_finetune").max_length == 64
    assert changed.task_names == ["rte", "my.task"]
    assert study().seeds == (1, 2)


def test_what_is_set_equals_an_edited_file(study, tmp_path):
    edited = tmp_path / "edited.yaml"
    edited.write_text(FILE.replace("epochs: 3", "epochs: 1").replace("[1, 2]", "[7]"))
    ours, theirs = study("training.all.epochs=1", "seeds=[7]"), load_study(edited)
    assert ours == theirs
    assert ours.hyperparameters("sst2", "lora_r8") == theirs.hyperparameters("sst2", "lora_r8")
    assert ours.hyperparameters("sst2", "lora_r8") != study().hyperparameters("sst2", "lora_r8")


def test_a_list_that_the_file_leaves_out_is_the_usual_one():
    assert packaged_study("demo", ["seeds.2=7"]).seeds == (42, 1337, 7)
    assert packaged_study("demo", ["tune.trials=3", "training.methods.full_finetune.learning_rate=null",
                                   "training.methods.lora.learning_rate=null"]).tune.n_trials == 3  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.all.epoch=1"], "training.all.epoch: unknown key; did you mean 'epochs'?"),
        (["trainingg.all.epochs=1"], "trainingg: unknown key; did you mean 'training'?"),
        (["seeds=[1,-2]"], "seeds.1"),
        (["training.all.epochs=many"], "training.all.epochs: expected a number"),
        (["tasks.7=rte"], "tasks in .* is a list; name a position of it .0: sst2, 1: my.task."),
        (["tasks.sst2=rte"], "is a list; name a position"),
        (["methods.0.rank=8"], "methods.0 in .* is 'full_finetune', which has no 'rank'"),
        (["name.x=1"], "name in .* is 's'"),
        (["training.all.epochs"], "expected FIELD=VALUE"),
        (["=1"], "expected FIELD=VALUE"),
        (["training..epochs=1"], "expected FIELD=VALUE"),
        (['training."all.epochs=1'], "expected FIELD=VALUE"),
        (["training.all.epochs="], "has no value; write null"),
        (["training.all.epochs=[1"], "not valid YAML"),
        (["seeds=[1]", "seeds=[2]"], "seeds is given twice"),
        (["training.all={epochs: 1}", "training.all.epochs=2"], "set the same field"),
        (["training.all.epochs=1", "training.all={epochs: 1}"], "set the same field"),
        (["training.methods.lroa.epochs=1"], "lroa"),
        (["name=&a [*a]"], "contains itself"),
    ],
)
def test_wrong_override_is_refused_as_in_the_file(study, overrides, message):
    with pytest.raises(ConfigError, match=message):
        study(*overrides)


def test_commands_in_messages_and_results_repeat_the_overrides_quoted(study):
    given = StudyPath(str(study.path), ["seeds=[1, 2, 3]", "training.all.epochs=1"])
    command = repdrift_command("train", RunId("sst2", "lora_r8", 1), given)
    words = shlex.split(command)
    assert words[:8] == [
        "repdrift", "train", "--config", str(study.path), "--set", "seeds=[1, 2, 3]", "--set", "training.all.epochs=1",
    ]  # fmt: skip
    changed = study(*given.overrides).model_copy(update={"model": "other/model"})
    (made,) = reproducing_commands(changed, given, changed.task_names)
    assert shlex.split(made) == [
        "repdrift", "run", str(study.path), "--set", "seeds=[1, 2, 3]", "--set", "training.all.epochs=1", "--model", "other/model",
    ]  # fmt: skip


def test_a_study_without_overrides_is_named_as_before():
    assert given_study("x", []) == "x"
    assert not isinstance(given_study("x", []), StudyPath)
    assert config_words(None) == []
    assert config_words("x") == ["--config", "x"]
