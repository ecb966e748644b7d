"""Processes that work together: an error in one of them is raised in all, before any exchanges anything else."""

import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from repdrift.core import process_group
from repdrift.core.errors import DataError, ModelError, NonFiniteError
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


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError("full"), DataError("bad row")])
def test_any_exception_of_one_process_reaches_all(error, monkeypatch):
    """Two processes, one after the other: the second sees what the first has sent."""
    sent = []

    def all_gather_object(found, value):
        sent.append(value)
        found[:] = [sent[0], value]

    monkeypatch.setattr(process_group, "_group", SimpleNamespace(all_gather_object=all_gather_object))
    expected = DataError if isinstance(error, DataError) else ModelError
    with pytest.raises(expected, match=str(error)), World(0, 2).together("model a"):
        raise error
    with pytest.raises(expected, match=str(error)), World(1, 2).together("model a"):
        pass


def test_single_process_raises_what_was_raised():
    with pytest.raises(RuntimeError, match="broken"), World(0, 1).together("model a"):
        raise RuntimeError("broken")
