"""Everything that can be known before training is said before it, at once, and leaves nothing behind."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from repdrift.core.errors import ConfigError, DataError, ModelError, RepdriftError, StorageError, UnknownNameError
from repdrift.study import disk_space, readiness, training_stage
from repdrift.study.config import parse_study
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import planned_runs
from repdrift.study.training_stage import train_runs
from tests.command_line import run_here
from tests.tiny_models import save_bert, sentence
from tests.unit.models.test_model_settings import edit


def write_rows(path, start, count, labels=(0, 1)):
    rows = (f"{sentence(start + i, 5)},{labels[i % len(labels)]}\n" for i in range(count))
    path.write_text("body,label\n" + "".join(rows))
    return str(path)


@pytest.fixture
def content(tmp_path, tiny_bert, monkeypatch):
    """A study that could be trained; nothing is trained by a test that lets it."""
    monkeypatch.setattr(training_stage, "train_unless_claimed", lambda *_a, **_k: pytest.fail("a run was trained"))
    task = {
        "name": "mine", "text_columns": ["body"], "label_column": "label",
        "train": write_rows(tmp_path / "train.csv", 0, 12), "validation": write_rows(tmp_path / "validation.csv", 50, 8),
    }  # fmt: skip
    return {
        "name": "s", "model": str(tiny_bert), "tasks": [task], "methods": ["full_finetune", "lora"], "seeds": [1, 2],
        "results_dir": str(tmp_path / "out/results"), "base_dir": str(tmp_path / "out/base"),
        "training": {"all": {"epochs": 1, "batch_size": 4, "max_length": 16}},
    }  # fmt: skip


def refused(content):
    """The fault of a study; it has left no folder behind."""
    with pytest.raises(RepdriftError) as caught:
        config = parse_study(content, where="s")
        train_runs(StudyInputs(config), planned_runs(config))
    assert not Path(content["base_dir"]).parent.exists()
    return caught.value


def trained_with(**options):
    return lambda content: content["training"]["all"].update(options)


def extracted_with(**options):
    return lambda content: content.update(extraction=options)


def with_rows(split, *args):
    return lambda content: write_rows(Path(content["tasks"][0][split]), *args)


def one_class(content):
    with_rows("train", 0, 12, (0,))(content)
    with_rows("validation", 50, 8, (0,))(content)


FAULTS = {
    "layer": (extracted_with(layers=[0, 3]), UnknownNameError, r"layer 3 not in .* \(3 layers, 0 to 2\)"),
    "negative layer": (extracted_with(layers=[-1]), UnknownNameError, r"layer -1 not in"),
    "layer twice": (extracted_with(layers=[1, 1]), UnknownNameError, r"layers are named twice"),
    "blocks": (extracted_with(blocks="encoder.layers"), RepdriftError, r"encoder\.layers"),
    "stack": (extracted_with(stack="decoder"), ModelError, r"has no decoder"),
    "site": (extracted_with(sites=["attn_out", "final_norm"]), ModelError, r"site 'final_norm' of BertModel cannot be read: no norm follows"),
    "name of a site": (extracted_with(sites=["atn_out"]), ConfigError, r"extraction\.sites.*attn_out"),
    "pooling": (extracted_with(pooling="max"), ConfigError, r"extraction\.pooling"),
    "samples": (with_rows("validation", 50, 3), DataError, r"has 3 samples .* at least 4"),
    "max_length of samples": (extracted_with(max_length=65), DataError, r"max_length 65 is more than the model's maximum of 64"),
    "max_length of training": (trained_with(max_length=65), DataError, r"max_length 65 is more than the model's maximum of 64"),
    "batch": (trained_with(batch_size=13), ConfigError, r"batch_size is 13, and there are 12 training rows .*12 or less"),
    "batch of chosen rows": (trained_with(max_train_samples=6, batch_size=8), ConfigError, r"there are 6 training rows"),
    "checkpoints": (trained_with(checkpoint_every=4), ConfigError, r"checkpoint_every is 4, and the training takes 3 steps.* Take 3 or less"),
    "modules": (trained_with(lora={"target_modules": ["q_proj"]}), ModelError, r"(?s)arm 'lora': LoRA does not fit .* Set target_modules to all-linear, or to some of: .*query"),
    "rank": (trained_with(lora={"rank": 17}), ModelError, r"arm 'lora': rank 17 is larger than .*query \(16 x 16\): .* Set the rank to 16 or less"),
    "label of evaluation": (with_rows("validation", 50, 8, (0, 1, 7)), DataError, r"validation has classes that training lacks: 7"),
    "one class": (one_class, DataError, r"at least two classes are needed"),
    "ids as classes": (with_rows("train", 0, 12, range(12)), DataError, r"no two training rows"),
    "task": (lambda c: c["tasks"][0].update(name="all"), ConfigError, r"no task can be called 'all'"),
    "long name": (lambda c: c["tasks"][0].update(name="n" * 240), ConfigError, r"at most 100 characters"),
    "long folder": (lambda c: c.update(results_dir=c["results_dir"] + "n" * 300), StorageError, r"name too long.* Choose a shorter name"),
    "measure": (lambda c: c.update(analysis={"measures": ["cka", "cca_of_cca"]}), ConfigError, r"analysis\.measures"),
    "variable": (lambda c: c.update(results_dir="$HOME/rd"), ConfigError, r"results_dir: '\$HOME/rd' holds '\$HOME': variables are not filled in"),
    "variable of data": (lambda c: c["tasks"][0].update(train="${DATA}/a.csv"), ConfigError, r"holds '\$\{DATA\}'"),
    "missing rows": (lambda c: c["tasks"][0].update(train="gone.csv"), DataError, r"gone\.csv"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_said_before_anything_is_trained(content, tmp_path, name, monkeypatch):
    change, kind, said = FAULTS[name]
    monkeypatch.chdir(tmp_path)
    change(content)
    fault = refused(content)
    assert isinstance(fault, kind)
    assert re.search(said, str(fault), re.IGNORECASE), str(fault)


def test_what_has_no_fault_is_not_refused(content):
    config = parse_study({**content, "extraction": {"layers": [0, 2]}}, where="s")
    jobs = readiness.ready_jobs(StudyInputs(config), planned_runs(config))
    assert [str(run) for run, _ in jobs] == [str(run) for run in planned_runs(config)]
    assert not Path(content["base_dir"]).parent.exists()


def test_all_faults_are_listed_in_one_message_of_the_command_line(content, tmp_path):
    trained_with(batch_size=13, lora={"rank": 99, "target_modules": ["query"]})(content)
    extracted_with(layers=[7])(content)
    with_rows("validation", 50, 8, (0, 7))(content)
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content))
    for command in ("run s.yaml", "train --config s.yaml"):
        done = run_here(f"python -m repdrift {command}", tmp_path, fails=True)
        assert "study 's': 4 faults, and nothing was trained" in done.stderr, done.stderr
        for said in (
            "layer 7 not in",
            "batch_size is 13",
            "arm 'lora': rank 99",
            "that training lacks: 7",
        ):
            assert said in done.stderr, said
    assert not (tmp_path / "out").exists()


def test_an_arm_that_the_asked_schedule_cannot_take_is_said_before_training(content):
    content["methods"] = ["full_finetune", "lora", "dora", "prefix_tuning"]
    extracted_with(schedule="layer")(content)
    assert "2 arms cannot be extracted block by block: dora, prefix_tuning" in str(refused(content))


def test_texts_that_leave_a_prompt_no_room_are_said_before_training(content):
    content["methods"] = ["full_finetune", {"name": "long", "kind": "prompt_tuning", "virtual_tokens": 60}]
    fault = str(refused(content))
    assert "arm 'long': its longest input has" in fault
    assert "behind 60 virtual tokens the model takes 4" in fault
    assert "behind the 60 virtual tokens of its learned prompt" in fault  # the samples that are extracted afterwards


def test_a_token_that_the_model_does_not_have_is_said_before_training(content, tmp_path):
    base = save_bert(tmp_path / "bert")
    edit(base / "config.json", vocab_size=20)  # the weights would be refused for it, after the first run began
    assert "has 20 rows, for ids 0 to 19" in str(refused({**content, "model": str(base)}))


def test_a_kind_of_task_for_which_a_model_cannot_be_trained_is_said(content, tmp_path, tiny_bert):
    base = shutil.copytree(tiny_bert, tmp_path / "bert")
    edit(base / "config.json", model_type="clip_text_model")
    fault = str(refused({**content, "model": str(base)}))
    assert "models of type 'clip_text_model' cannot be trained for sequence classification" in fault


def test_a_file_in_place_of_a_folder_is_said_before_training(content, tmp_path):
    (tmp_path / "taken").write_text("")
    for folder in (tmp_path / "taken", tmp_path / "taken/below"):
        for changed in (content | {"results_dir": str(folder)}, content | {"base_dir": str(folder)}):
            config = parse_study(changed, where="s")
            with pytest.raises(
                StorageError, match=re.escape(f"{tmp_path / 'taken'} is a file, and a folder is needed")
            ):
                train_runs(StudyInputs(config), planned_runs(config))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_may_not_be_written_is_said_before_training(content, tmp_path, monkeypatch):
    monkeypatch.setattr(disk_space.os, "access", lambda path, _mode: str(path) != str(tmp_path))
    fault = refused(content)
    assert isinstance(fault, StorageError)
    assert f"{tmp_path} does not allow it" in str(fault)


def test_a_disk_on_which_the_models_cannot_fit_is_said_with_both_numbers(content, monkeypatch):
    trained_with(checkpoint_every=1)(content)
    config = parse_study(content, where="s")
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(
            AutoConfig.from_pretrained(content["model"], num_labels=2)
        )
    head = 2 * 16 + 2
    adapters = (
        3 * 8 * (4 * (16 + 16) + 2 * (16 + 32))
    )  # layers, rank, A and B of four square weights and of the two of the MLP
    models = 4 * (2 * 4 * (sum(p.numel() for p in model.parameters()) + adapters + head))
    sets = (
        (6 + 4 * 3) * 8 * 16 * 3 * 4
    )  # four runs, two of the base model, three checkpoints a run; samples, features, layers, bytes
    monkeypatch.setattr(disk_space, "free_bytes", lambda _: models + sets)
    readiness.ready_jobs(StudyInputs(config), planned_runs(config))
    monkeypatch.setattr(disk_space, "free_bytes", lambda _: models + sets - 1)
    fault = refused(content)
    assert isinstance(fault, StorageError)
    assert f"at least {models + sets:,} bytes" in str(fault)
    assert f"leaves {models + sets - 1:,}" in str(fault)


def test_sites_count_in_the_space_that_sets_take(content):
    def size(**options):
        inputs = StudyInputs(parse_study({**content, "extraction": options}, where="s"))
        return disk_space.set_bytes(inputs, "mine")

    one = size() // 3
    assert size(sites=["attn_out", "mlp_out", "embeddings"]) == (3 + 3 + 3 + 1) * one
    assert size(sites=["attn_out"], layers=[1]) == 2 * one


def test_a_task_cannot_take_the_folder_of_the_study(content):
    content.update(base_dir=content["results_dir"])
    content["tasks"][0]["name"] = "drift_analysis"
    with pytest.raises(ConfigError, match="one folder, .* 'drift_analysis' is a folder of the study"):
        readiness.ready_jobs(
            StudyInputs(parse_study(content, where="s")), planned_runs(parse_study(content, where="s"))
        )


def test_a_folder_with_a_dollar_in_its_name_is_taken_if_it_is_there(content, tmp_path):
    (tmp_path / "$HOME").mkdir()
    assert parse_study({**content, "results_dir": str(tmp_path / "$HOME")}, where="s").results_dir == tmp_path / "$HOME"


def test_benchmarks_are_looked_up_before_training(content, monkeypatch):
    def unreachable(options):
        raise DataError(f"the data of task {options.tasks[0]!r} cannot be read")

    monkeypatch.setattr(readiness, "load_tasks", unreachable)
    content["outcomes"] = {"lm_eval": ["hellaswag"]}
    assert "the data of task 'hellaswag' cannot be read" in str(refused(content))
