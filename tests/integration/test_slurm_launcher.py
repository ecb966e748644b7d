"""A whole study through submitit's local executor, one job of which is killed: the bytes of one process."""

import json
import os
import shutil
import signal
import threading
import time

import pytest

from tests.command_line import run_here
from tests.same_studies import differences

pytest.importorskip("submitit", reason="submitit is not installed (the extra `slurm`)")

STUDY = """
name: tiny
model: ./bert
data_dir: data
tasks: [sst2]
methods: [lora]
seeds: [1]
training:
  all: {epochs: 1, batch_size: 8, max_length: 32, checkpoint_every: 2, learning_rate: 0.01}
extraction: {random_change: none}
outcomes: {task_scores: false, flips: false, probes: false, outputs: false}
analysis: {replicates: 400}
results_dir: results
base_dir: base
"""


def _kill_the_training(folder, killed):
    """Kills the process of the training as soon as its state says that it runs, once."""
    state_file = folder / "results/jobs/train/sst2/lora/seed1.json"
    end = time.monotonic() + 240
    while time.monotonic() < end:
        try:
            state = json.loads(state_file.read_text())
        except (OSError, ValueError):
            state = {"outcome": None}
        if state["outcome"] == "running":
            os.kill(state["pid"], signal.SIGKILL)
            killed.append(state["pid"])
            return
        time.sleep(0.02)


@pytest.mark.timeout(900)
def test_a_study_of_array_elements_of_which_one_is_killed_has_the_bytes_of_one_process(tmp_path, tiny_bert, tiny_data):
    alone, arrays, killed = tmp_path / "alone", tmp_path / "arrays", []
    for folder in (alone, arrays):
        folder.mkdir()
        shutil.copytree(tiny_bert, folder / "bert")
        shutil.copytree(tiny_data, folder / "data")
        (folder / "study.yaml").write_text(STUDY)
    run_here("python -m repdrift run study.yaml --threads 1", alone)
    shutil.copytree(alone / "base", arrays / "base")  # one job less: the study shares its base representations
    killer = threading.Thread(target=_kill_the_training, args=(arrays, killed), daemon=True)
    killer.start()
    done = run_here(
        "python -m repdrift run study.yaml --threads 1 --launcher slurm --launcher-option cluster=local", arrays
    )
    assert killed, "no training was seen at work"
    assert "train/sst2/lora/seed1: lost" in done.stderr
    assert "it is run again (2 of 3)" in done.stderr
    assert differences(alone / "results", arrays / "results") == []
    assert not list((arrays / "results/jobs/slurm").rglob("*.pkl")), "nothing is left that holds code"
    assert not list((arrays / "results/jobs/slurm/arrays").iterdir())
