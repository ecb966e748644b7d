"""A whole study on a real Ray cluster of two nodes on this machine, one of which is killed in the middle, against one process."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.command_line import run_here
from tests.same_studies import differences

pytest.importorskip("ray", reason="ray is not installed (the extra `ray`)")

STUDY = """
name: tiny
model: model
data_dir: data
tasks: [sst2]
methods: [full_finetune, lora]
seeds: [1]
training:
  all: {epochs: 1, batch_size: 8, max_length: 32, checkpoint_every: 2, learning_rate: 0.01}
extraction: {random_change: none}
outcomes: []
analysis: {replicates: 400}
results_dir: results
base_dir: base_representations
"""
BOTH_AT_WORK_WITHIN_S = 400


@pytest.fixture
def studies(tmp_path, tiny_bert, tiny_data):
    """Two folders with the same study, its model and its data in each."""
    folders = (tmp_path / "alone", tmp_path / "ray")
    for folder in folders:
        folder.mkdir()
        (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
        shutil.copytree(tiny_bert, folder / "model")
        shutil.copytree(tiny_data, folder / "data")
    return folders


@pytest.fixture
def cluster(monkeypatch):
    """Starts a cluster of two nodes with one core each, on this machine; `second` is the node that holds no head."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    started = Cluster(initialize_head=True, connect=False, head_node_args={"num_cpus": 1, "include_dashboard": False})
    started.second = started.add_node(num_cpus=1)
    nodes = started.list_all_nodes()
    processes = [info.process for node in nodes for infos in node.all_processes.values() for info in infos]
    yield started
    started.shutdown()
    for process in processes:  # Ray leaves them to be collected, which is a warning in whichever test comes next
        process.wait(30)


@pytest.fixture
def start(cluster):
    """Starts the study of a folder on the cluster; a process that a failed test leaves is ended."""
    started = []

    def start_one(folder):
        started.append(_start(folder, cluster))
        return started[-1]

    yield start_one
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def _start(folder, cluster):
    command = [sys.executable, "-m", "repdrift", "run", "study.yaml", "--threads", "1", "--launcher", "ray"]
    command += ["--launcher-option", f"address={cluster.address}"]
    with (folder / "said.txt").open("w") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)


def _running(folder):
    states = [json.loads(path.read_text()) for path in (folder / "results/jobs").rglob("seed*.json")]
    return [state["job"] for state in states if state["outcome"] == "running"]


def _until(condition, process, folder):
    end = time.monotonic() + BOTH_AT_WORK_WITHIN_S
    while not condition():
        assert process.poll() is None, (folder / "said.txt").read_text()
        assert time.monotonic() < end, (folder / "said.txt").read_text()
        time.sleep(0.1)


@pytest.mark.timeout(1500)
def test_a_study_on_two_nodes_of_which_one_is_killed_has_the_bytes_of_one_process(studies, cluster, start):
    alone, on_ray = studies
    study = start(on_ray)
    _until(lambda: len(_running(on_ray)) == 2, study, on_ray)  # one core each: one job on every node
    cluster.remove_node(cluster.second, allow_graceful=False)
    code = study.wait(900)
    said = (on_ray / "said.txt").read_text()
    assert code == 0, said
    assert "it is run again (2 of 3)" in said
    run_here("python -m repdrift run study.yaml --threads 1", alone)
    assert differences(alone / "results", on_ray / "results") == []
    assert differences(alone / "base_representations", on_ray / "base_representations") == []


@pytest.mark.timeout(1500)
def test_ctrl_c_ends_every_process_of_the_study_and_leaves_a_state_that_says_so(studies, start):
    _, folder = studies
    study = start(folder)
    _until(lambda: _running(folder), study, folder)
    pids = {json.loads(path.read_text())["pid"] for path in (folder / "results/jobs").rglob("seed1.json")}
    assert pids
    study.send_signal(signal.SIGINT)
    assert study.wait(120) != 0
    assert not _running(folder), "a state that says `running` for ever would be believed"
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _refused(tmp_path, studies, address):
    done = run_here(
        f"python -m repdrift run study.yaml --launcher ray --launcher-option address={address}", studies[0], fails=True
    )
    assert not list(studies[0].rglob("run.json")), "nothing was begun"
    return " ".join(done.stderr.split())


def test_an_address_where_nothing_answers_is_said_at_once(tmp_path, studies):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = _refused(tmp_path, studies, f"127.0.0.1:{port}")
    assert f"no Ray cluster answers at 127.0.0.1:{port}" in said
    assert "ray start --head" in said


def test_another_server_at_the_address_is_not_waited_for(tmp_path, studies, monkeypatch):
    monkeypatch.setattr("repdrift.study.jobs.ray_connection._HEALTHY_WITHIN_S", 5.0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        said = _refused(tmp_path, studies, f"127.0.0.1:{other.getsockname()[1]}")
    assert "it is no healthy head of a Ray cluster" in said


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "http://head:6379", "head:port"])
def test_an_address_of_another_form_is_refused(tmp_path, studies, address):
    assert f"HOST:PORT, or `auto`; got '{address}'" in _refused(tmp_path, studies, address)
