"""scripts/download_base_representations.sh, run as users run it."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from repdrift.stores import RepresentationSetWriter, verify_set
from repdrift.stores.remote import open_remote, push
from tests.unit.stores.small_sets import fields

ROOT = Path(__file__).parents[2]
NOTHING_SET = {"WANDB_ENTITY": "", "WANDB_PROJECT": "", "REPDRIFT_BASE_SOURCE": ""}


def _download(*arguments, cwd, **environment):
    return subprocess.run(
        ["bash", ROOT / "scripts/download_base_representations.sh", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PYTHON": sys.executable, **NOTHING_SET, **environment},
    )  # fmt: skip


def test_a_task_is_brought_and_verified(tmp_path):
    for task in ("mrpc", "sst2"):
        with RepresentationSetWriter(tmp_path / "base" / task / "step_000000", key="k", layers=[0], n_rows=6) as writer:
            writer.write_layer(0, torch.randn(6, 4))
            writer.finish(**fields(key="k", task=task, layers=[0]))
    push(tmp_path / "base", open_remote(str(tmp_path / "remote")))
    done = _download("--task", "mrpc", "--source", str(tmp_path / "remote"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert verify_set(tmp_path / "base_representations/mrpc/step_000000") == []
    assert not (tmp_path / "base_representations/sst2").exists()


def test_options_become_those_of_pull(tmp_path):
    stand_in = tmp_path / "python"
    stand_in.write_text('#!/bin/sh\necho "$@"\n')
    stand_in.chmod(0o755)
    told = _download(
        "--task", "rte", "--entity", "team", "--project", "drift", "--artifact", "base:v3", "--output-dir", "here",
        cwd=tmp_path, PYTHON=str(stand_in),
    )  # fmt: skip
    assert told.stdout == "-m repdrift pull wandb://team/drift/base:v3 --task rte --output-dir here\n"
    told = _download(cwd=tmp_path, PYTHON=str(stand_in), REPDRIFT_BASE_SOURCE="s3://bucket/base")
    assert told.stdout == "-m repdrift pull s3://bucket/base\n"
    told = _download(cwd=tmp_path, PYTHON=str(stand_in), WANDB_ENTITY="team", WANDB_PROJECT="drift")
    assert told.stdout == "-m repdrift pull wandb://team/drift/base_representations\n"


def test_script_that_is_told_nothing_says_how(tmp_path):
    done = _download(cwd=tmp_path)
    assert done.returncode == 2
    assert "--source URL" in done.stderr
    assert _download("--nonsense", cwd=tmp_path).returncode == 2
    assert "Usage" in _download("--help", cwd=tmp_path).stdout
