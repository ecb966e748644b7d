"""A Ray task's process and its end, without a cluster."""

import os
import signal
import subprocess
import sys
import time

import pytest

from repdrift.study.jobs.launchers.ray_cluster import _cores_of_a_job, run_on_node
from repdrift.study.jobs.ray_connection import missing_resources, spread

SMALL, LARGE = {"CPU": 4.0, "memory": 8e9}, {"CPU": 16.0, "GPU": 4.0, "memory": 64e9}


def test_a_plan_that_is_not_on_the_node_is_told_with_the_reason(tmp_path):
    told = run_on_node(str(tmp_path / "plan.json"), "train/sst2/lora/seed1", 1)
    assert told["exit_code"] == 1
    assert "plan.json does not exist" in told["printed"]
    assert told["seconds"] > 0


def test_a_process_stops_when_the_one_that_started_it_is_killed(tmp_path):
    mark = tmp_path / "stopped"
    child = (
        "import os, signal, sys, time; from repdrift.study.jobs.worker import end_with\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(mark)!r}, 'w').close(), sys.exit(1)))\n"
        "end_with(os.getppid()); print('ready', flush=True); time.sleep(60)"
    )
    parent = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]]).wait()"
    started = subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    end = time.monotonic() + 20
    while not mark.exists():
        assert time.monotonic() < end, "the process goes on without the one that started it"
        time.sleep(0.05)
    started.stdout.close()


@pytest.mark.parametrize(
    ("asked", "fits"),
    [({"CPU": 4}, True), ({"CPU": 16, "GPU": 4}, True), ({"CPU": 17}, False), ({"CPU": 1, "GPU": 5}, False)],
)
def test_a_job_fits_if_one_node_has_all_that_it_asks_for(asked, fits):
    assert (missing_resources(asked, [SMALL, LARGE]) is None) == fits


def test_cores_of_one_node_and_the_memory_of_another_are_no_room():
    said = missing_resources({"CPU": 8, "memory": 9e9}, [{"CPU": 8, "memory": 8e9}, {"CPU": 4, "memory": 64e9}])
    assert said is not None
    assert "expected a node with 8 core(s), 9 GB of memory; the most that any has: 8 core(s), 64 GB of memory" in said


def test_the_cores_of_a_job_are_a_gpus_part_of_its_node_and_one_without_gpus():
    assert _cores_of_a_job([SMALL]) == 1
    assert _cores_of_a_job([SMALL, LARGE]) == 4
    assert _cores_of_a_job([{"CPU": 2.0, "GPU": 4.0}]) == 1
    assert spread([SMALL, LARGE]) == "20 core(s) and 4 GPU(s)"
