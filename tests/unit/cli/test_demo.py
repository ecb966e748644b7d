"""The demo leaves a study file beside its results, which the other commands take."""

import shlex

import pytest

from repdrift.cli.demo import write_study_file
from repdrift.core.errors import StorageError
from repdrift.study import config
from repdrift.study.config import load_study, packaged_study
from tests.command_line import run_here


def test_study_file_is_the_packaged_demo_with_its_folders(tmp_path):
    study = load_study(write_study_file(tmp_path / "my output"))
    folders = {"results_dir": study.results_dir, "base_dir": study.base_dir}
    assert study == packaged_study("demo").model_copy(update=folders)
    assert study.results_dir == tmp_path / "my output/results"


def test_every_command_takes_the_study_file_that_the_demo_leaves(tiny_bert, tiny_data, tmp_path, monkeypatch):
    """The demo's own way, with a study of two tiny models in place of the packaged one."""
    text = f"""
name: demo
model: {tiny_bert}
data_dir: {tiny_data}
tasks: [sst2]
seeds: [1]
training:
  all: {{epochs: 1, batch_size: 8, max_length: 32, learning_rate: 0.01}}
"""
    monkeypatch.setattr(config, "packaged_study_text", lambda _name: text)
    done = run_here("python -m repdrift demo", tmp_path)
    said = done.stdout
    assert (tmp_path / "demo_output/demo.yaml").is_file()
    answer, page = said.splitlines()[0], next(line for line in said.splitlines() if line.startswith("page:"))
    assert "of 2 models have learnt their task: accuracy" in answer
    assert "best constant answer" in answer
    assert page.endswith(str(tmp_path / "demo_output/results/drift_visualizations/dashboard.html"))
    assert "by layer: layers 0 to " in said
    learnt = ("At the end of training", "None of the 2 models", "1 of 2 models", "2 of 2 models")
    assert said.splitlines()[1].startswith(learnt)
    first, *stages = done.stderr.splitlines()
    assert "demo.log" in first
    # A stage that takes over ten seconds on a busy machine has a line of progress before its last one.
    assert list(dict.fromkeys(line[:6] for line in stages)) == ["1 of 5", "2 of 5", "3 of 5", "4 of 5", "5 of 5"]
    log = (tmp_path / "demo_output/demo.log").read_text()
    assert "[2/2] sst2, lora, seed 1: trained" in log
    commands = [line.strip() for line in said.splitlines() if line.startswith("    repdrift ")]
    assert [shlex.split(command)[1] for command in commands] == ["analyze", "visualize", "status", "power"]
    outputs = [run_here(f"python -m {command}", tmp_path).stdout for command in commands]
    assert "drift_analysis_summary.md" in outputs[0]
    assert "demo_output/results/drift_visualizations/dashboard.html" in outputs[1]
    assert "2 of 2 runs trained and extracted" in outputs[2]


@pytest.mark.parametrize("name", ["demo", "demo_all_tasks"])
def test_every_packaged_demo_is_written_with_its_folders(name, tmp_path):
    file = write_study_file(tmp_path, name)
    assert file == tmp_path / f"{name}.yaml"
    assert load_study(file).task_names == packaged_study(name).task_names


def test_folder_that_cannot_be_made_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        write_study_file(tmp_path / "file/below")
