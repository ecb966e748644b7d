"""Processes that work together: an error in one of them is raised in all, before any exchanges anything else."""

import os
import socket
import subprocess
import sys

import pytest

from repdrift.core.errors import NonFiniteError
from repdrift.core.process_group import World

SCRIPT = """
import sys
from repdrift.core.errors import RepdriftError, NonFiniteError
from repdrift.core.process_group import world

ours = world()
said = []
for what in ("good", "bad", "good again"):
    try:
        with ours.together(what):
            if what == "bad" and ours.rank == 1:
                raise NonFiniteError("layer 1, sample 'x'")
        said.append(ours.from_first(what))
    except RepdriftError as error:
        said.append(f"{type(error).__name__}: {error}")
try:
    with ours.together(f"work of {ours.rank}"):
        pass
except RepdriftError as error:
    said.append(str(error))
print(said)
"""


def test_error_of_one_process_is_raised_in_all():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, **common, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert outputs[0] == outputs[1]
    assert "'good', \"NonFiniteError: layer 1, sample 'x'\", 'good again'" in outputs[0]
    assert "different work, since one of them failed: work of 0, work of 1" in outputs[0]


def test_single_process_raises_its_own_error():
    with pytest.raises(NonFiniteError, match="mine"), World(0, 1).together("work"):
        raise NonFiniteError("mine")
