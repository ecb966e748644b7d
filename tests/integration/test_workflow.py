"""The commands of the Phase 3 specification, word for word, in a clean folder, on a tiny model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from repdrift.cli.main import app
from tests.command_line import run_here

ROOT = Path(__file__).parents[2]


class Shell:
    """Runs commands in a folder, with this interpreter as `python`."""

    def __init__(self, folder, **environment):
        tools = folder / "bin"
        tools.mkdir()
        (tools / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (tools / "python").chmod(0o755)
        for name in ("scripts", "experiments"):
            (folder / name).symlink_to(ROOT / name)
        self.folder = folder
        self.own_environment = environment
        self.environment = {
            **os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", **environment,
        }  # fmt: skip

    def __call__(self, command, *, fails=False):
        """Run `command` in a process of its own."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def here(self, command, *, fails=False):
        """Run `command`, which starts with `python`, in the process of the test: each process needs 4 s to import."""
        return run_here(command, self.folder, fails=fails, **self.own_environment)


@pytest.fixture
def shell(tmp_path, tiny_study):
    text = tiny_study.read_text().replace(str(tmp_path) + "/", "")
    tiny_study.write_text(text)
    return Shell(tmp_path, REPDRIFT_CONFIG=str(tiny_study))


@pytest.mark.timeout(600)  # many processes, each of which imports torch
def test_commands_of_the_specification(shell, tmp_path):
    missing = shell("bash scripts/phase3/vm1.sh", fails=True)
    assert "repdrift train --config" in missing.stderr
    assert "--task squad_v2 --method full_finetune --seed 1" in missing.stderr
    assert "Traceback" not in missing.stderr

    shell.here("python experiments/full_finetune.py")
    shell.here("python experiments/lora_finetune.py")
    shell("bash scripts/phase3/vm1.sh")
    shell.here("python scripts/phase3/extract_representations.py --task sst2")
    folder = tmp_path / "results/phase3_representations/squad_v2_lora_seed1/step_000000"
    assert {p.name for p in folder.iterdir()} == {
        "layer_0.pt",
        "layer_1.pt",
        "layer_2.pt",
        "metadata.json",
        "adapter_weights",
    }
    assert {p.name for p in (folder / "adapter_weights").iterdir()} == {
        f"lora_{m}_layer_{i}.pt" for m in "AB" for i in range(3)
    }
    metadata = json.loads((folder / "metadata.json").read_text())
    assert (metadata["task"], metadata["method"], metadata["seed"], metadata["step"]) == ("squad_v2", "lora", 1, 0)
    tensor = torch.load(folder / "layer_0.pt", weights_only=True, mmap=True)
    assert list(tensor.shape) == metadata["shape"] == [20, 16]

    again = shell.here("python scripts/phase3/extract_representations.py --task squad_v2")
    assert "extracting" not in again.stderr, "what is finished is reused"

    shell("python scripts/phase3/analyze_drift.py --task all --output-dir results/drift_analysis")
    table = pd.read_parquet(tmp_path / "results/drift_analysis/drift.parquet")
    assert set(table["task"]) == {"squad_v2", "sst2"}
    weights = table["measure"].str.startswith(("weight_", "lora_"))
    assert (~weights).sum() == 2 * 2 * 2 * 3 * 4
    assert table[~weights]["drift"].notna().all()
    assert weights.sum() == 2 * 2 * 3 * (2 + 4), "two measures of a full fine-tune's weights, four of LoRA's"
    shell.here("python scripts/phase3/analyze_drift.py --task squad_v2 --output-dir results/only_squad")
    only = json.loads((tmp_path / "results/only_squad/drift_analysis_results.json").read_text())
    assert only["study"]["tasks"] == ["squad_v2"]

    shell.here("python scripts/phase3/visualize_drift.py")
    assert (tmp_path / "results/drift_visualizations/dashboard.html").stat().st_size > 100_000
    shell.here(
        "python scripts/phase3/visualize_drift.py --results-file results/drift_analysis/drift_analysis_results.json "
        "--output-dir results/other_figures"
    )
    assert (tmp_path / "results/other_figures/drift_heatmap.pdf").is_file()

    shell.here("python -m repdrift verify results/phase3_representations")
    status = json.loads(shell.here("python -m repdrift status --json").stdout)["runs"]
    assert all(row["trained"] and row["representations"] == "finished" for row in status)
    assert len(status) == 8
    # The control of each task and method: that of the study's first seed.
    assert all(row["random_change"] == ("finished" if row["seed"] == 1 else "missing") for row in status)
    control = json.loads((folder.parent / "random_change/metadata.json").read_text())
    assert (control["method"], control["seed"], control["random_change"]["method"]) == ("random_change", 1, "lora")
    assert control["sample_set_fingerprint"] == metadata["sample_set_fingerprint"]

    shell.here("python -m repdrift extract --task sst2 --method lora --seed 1 --checkpoint all")
    steps = sorted(p.name for p in (tmp_path / "results/phase3_representations/sst2_lora_seed1").iterdir())
    assert steps == ["random_change", "step_000000", "step_000002"]
    refused = shell.here("python -m repdrift extract --task sst2 --method lora --seed 1 --checkpoint 7", fails=True)
    assert "has no checkpoint '7'; saved steps: 2" in refused.stderr
    shell.here("python scripts/phase3/analyze_drift.py --task all")
    assert set(pd.read_parquet(tmp_path / "results/drift_analysis/drift.parquet")["step"]) == {0, 2}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("analyze --task sst_2", "Did you mean 'sst2'"),
        ("analyze --measure ckaa", "Did you mean 'cka"),
        ("extract --method loar", "Did you mean 'lora'"),
        ("extract --pooling maen", "Did you mean 'mean'"),
        ("extract --random-change nonee", "Did you mean 'none'"),
        ("train --seed 5", "unknown seed of this study '5'"),
        ("train --model ./nowhere", "neither a folder here nor a hub id"),
        ("train --data-dir nowhere", "data folder nowhere does not exist"),
        ("train --config nowhere.yaml", "study file nowhere.yaml does not exist"),
        ("train --task x --data x.csv", "--data needs --text-column"),
        (
            "train --task x --data x.csv --text-column a",
            "task 'x' has no train file: name it with `repdrift train --train-data FILE`",
        ),
        ("visualize", "no results at results/drift_analysis/drift_analysis_results.json"),
        ("verify nowhere", "no representation set at or below nowhere"),
        ("push nowhere target", "no representation set, run folder or folder of results at or below nowhere"),
        ("pull ./nowhere", "nothing at ./nowhere"),
        ("analyze", "none of the 8 planned representation sets is there"),
    ],
)
def test_wrong_input_is_one_message_and_leaves_nothing(shell, tmp_path, command, message):
    before = set(tmp_path.rglob("*"))
    done = shell.here(f"python -m repdrift {command}", fails=True)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert set(tmp_path.rglob("*")) == before


def test_task_of_ones_own_from_the_command_line(shell, tmp_path):
    rows = "".join(
        f"the {w} sat on the dog,{i % 2}\n"
        for i, w in enumerate(["cat", "bird", "tree", "town", "house", "river", "book", "film"] * 2)
    )
    (tmp_path / "own.csv").write_text("body,urgent\n" + rows)
    own = "--task own --data own.csv --text-column body --label-column urgent"
    shell.here(f"python -m repdrift train {own} --train-data own.csv --method lora --seed 1")
    shell.here(f"python -m repdrift extract {own} --method lora --seed 1")
    assert (tmp_path / "results/phase3_representations/own_lora_seed1/step_000000/metadata.json").is_file()


def test_second_script_extracts_the_classification_tasks(shell, tmp_path):
    (tmp_path / "bin/told").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "bin/told").chmod(0o755)
    told = shell("PYTHON=told bash scripts/phase3/vm2.sh --pooling last").stdout
    options = "extract_representations.py --task mrpc --task sst2 --task rte --pooling last"
    assert told.strip().endswith(f"scripts/phase3/{options}")


def test_every_command_has_help_with_an_example(shell):
    listed = shell("python -m repdrift --help").stdout
    names = [command.name for command in app.registered_commands]
    assert {"demo", "compare", "train", "extract", "analyze", "visualize", "run", "status", "verify"} <= set(names)
    for command in names:
        assert command in listed
        assert "Example" in shell.here(f"python -m repdrift {command} --help").stdout, command
    assert "cka_biased" in shell.here("python -m repdrift measures --json").stdout
    assert "packaged sample" in shell.here("python -m repdrift tasks --data-dir sample").stdout
