"""The connection to a Ray cluster: found, or started here; and the room that its nodes have."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from repdrift.core.errors import ConfigError
from repdrift.core.shown_text import for_terminal
from repdrift.study.jobs.launcher import usable_cores

if TYPE_CHECKING:
    from types import ModuleType

ADDRESS_VARIABLE = "RAY_ADDRESS"
_ANSWERS_WITHIN_S = 5.0
_HEALTHY_WITHIN_S = 60.0
_NEXT = (
    "Start the cluster with `ray start --head` on one machine and `ray start --address HOST:PORT` on the others, or leave the address out for a "
    "cluster of this machine alone."
)


def connect(address: str | None) -> ModuleType:
    """Connect to the cluster at an address, or start one of this machine alone if there is none. Returns the `ray` module, connected.

    Raises ConfigError with the reason if no cluster answers, or this machine is no node of it. Nothing waits longer than about a minute.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a study tells nobody that it runs
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray
    from ray.exceptions import RayError

    asked = address or os.environ.get(ADDRESS_VARIABLE)
    if asked is not None:
        _require_answer(asked)
    try:
        if asked is None:
            ray.init(
                address="local",
                num_cpus=usable_cores(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        else:
            ray.init(address=asked, log_to_driver=False, logging_level=logging.ERROR)
    except (RuntimeError, ValueError, OSError, RayError) as error:
        raise ConfigError(_refused(asked, error)) from error
    return ray


def nodes(ray: ModuleType) -> list[Mapping[str, float]]:
    """Returns the resources of every node that is alive, by Ray's names (CPU, GPU, memory in bytes)."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"]]


def spread(found: Sequence[Mapping[str, float]]) -> str:
    """Returns the cores and GPUs of all nodes in words."""
    cores, gpus = (sum(node.get(name, 0) for node in found) for name in ("CPU", "GPU"))
    return f"{cores:.0f} core(s)" + (f" and {gpus:.0f} GPU(s)" if gpus else "")


def missing_resources(asked: Mapping[str, float], found: Sequence[Mapping[str, float]]) -> str | None:
    """Says why no node can ever run a job that asks for these resources; None if one can."""
    if any(all(node.get(name, 0) >= amount for name, amount in asked.items()) for node in found):
        return None
    most = {name: max((node.get(name, 0) for node in found), default=0) for name in asked}
    wanted = ", ".join(_amount(name, amount) for name, amount in asked.items())
    had = ", ".join(_amount(name, amount) for name, amount in most.items())
    return (
        f"no node of the Ray cluster has room for it: expected a node with {wanted}; the most that any has: {had}. Ask for less (--threads, "
        "--launcher-option gpus=...), add a larger node, or wait for one with --launcher-option wait_for_nodes=true"
    )


def _amount(name: str, amount: float) -> str:
    if name == "memory":
        return f"{amount / 1e9:.2g} GB of memory"
    return f"{amount:g} {'core(s)' if name == 'CPU' else name + '(s)'}"


def _require_answer(address: str) -> None:
    """Raises ConfigError if nothing answers at an address, or what answers is no head of a Ray cluster."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise ConfigError(
            f"the address of a Ray cluster is HOST:PORT, or `auto`; got {address!r}. (A ray:// address is for a machine outside of the cluster; start the "
            "study on a node.)"
        )
    try:
        socket.create_connection((host, int(port)), _ANSWERS_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"no Ray cluster answers at {address} ({error}). {_NEXT}") from error
    # Another server on that port would let `ray.init` wait for minutes.
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ray.scripts.scripts", "health-check"],
            env={**os.environ, ADDRESS_VARIABLE: address},
            capture_output=True,
            timeout=_HEALTHY_WITHIN_S,
            check=False,
        )
        healthy = done.returncode == 0
    except subprocess.TimeoutExpired:
        healthy = False
    if not healthy:
        raise ConfigError(f"something answers at {address}, but it is no healthy head of a Ray cluster. {_NEXT}")


def _refused(asked: str | None, error: Exception) -> str:
    said = for_terminal(" ".join(str(error).split())[:400])
    if asked is None:
        return f"Ray could not start a cluster on this machine: {said}"
    if isinstance(error, ConnectionError) or "Could not find any running Ray instance" in said:
        return f"no Ray cluster runs on this machine, which `{asked}` asks for. {_NEXT}"
    return (
        f"this machine could not join the Ray cluster at {asked}: {said}. The study is started on a node of the cluster, with the versions of Ray and "
        "Python that it has."
    )
