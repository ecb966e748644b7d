"""The state of a training that goes on after a kill: trained weights, optimiser, learning rate, random numbers, progress.

    RUN FOLDER/unfinished/KEY/step_000500/state.safetensors    every tensor
                                          trainer_state.json   the progress, as transformers' Trainer writes it
                                          state.json           the rest, with a checksum of each file

Nothing of it is a pickle, so loading executes nothing. A state takes its name when all of it is on the disk.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from repdrift.core.atomic import flush, storage_errors
from repdrift.core.errors import DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.reading import listed_folder, reading_errors
from repdrift.core.records.base import Record
from repdrift.core.temporary_file import TEMPORARY_SUFFIX

STATE_FOLDER = "unfinished"
STATE_FILE = "state.json"
TENSORS_FILE = "state.safetensors"
PROGRESS_FILE = "trainer_state.json"
"""The name that transformers' Trainer looks for."""
_KEY_DIGITS = 32


class TrainingState(Record):
    """All of a state that is no tensor."""

    format_version: Literal[1] = 1
    key: str
    """That of the run."""
    step: int
    start: str
    """What the training began with, see `Start`."""
    versions: dict[str, str]
    threads: int | None = None
    """Threads of the CPU that trained: another number rounds sums otherwise. Null in states of older versions."""
    files: dict[str, str]
    """SHA-256 of the files beside it, by name."""
    checkpoints: dict[str, str]
    """SHA-256 of every file of the checkpoints so far, by path below the run's folder."""
    checkpoint_steps: list[int]
    optimizer: dict[str, dict[str, float | int | bool | None]]
    """The numbers in the optimiser's state that are no tensors, by parameter."""
    learning_rates: list[dict[str, float]]
    """Those of each group of parameters."""
    scheduler: dict[str, float | int | bool | list[float] | None]
    python_random: list[Any]
    numpy_random: list[Any]
    loss: dict[str, float]
    """The sums from which the Trainer computes its means."""
    scores: dict[str, Any]
    """Those of the checkpoints so far."""
    resumed_at: list[int]
    """The steps after which it was resumed before."""
    wall_time_s: float
    peak_memory_bytes: int | None


def states_folder(run_folder: Path, key: str) -> Path:
    """The folder of the states of the run with this key, below the run's folder."""
    return run_folder / STATE_FOLDER / key[:_KEY_DIGITS]


def write_state(folder: Path, tensors: Mapping[str, Tensor], progress: str, record: TrainingState) -> Path:
    """Write a state below `folder`, and delete the older ones there once it is whole; returns its folder.

    record: without the checksums of the files, which are added here. Raises StorageError; the older states then stay.
    """
    from safetensors.torch import save_file

    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".", suffix=TEMPORARY_SUFFIX))
        place = folder / f"step_{record.step:06d}"
        try:
            save_file(dict(tensors), temporary / TENSORS_FILE)
            (temporary / PROGRESS_FILE).write_text(progress, encoding="utf-8")
            sums = {name: file_sha256(temporary / name) for name in (TENSORS_FILE, PROGRESS_FILE)}
            text = record.model_copy(update={"files": sums}).file_text()
            (temporary / STATE_FILE).write_text(text, encoding="utf-8")
            for name in (*sums, STATE_FILE, "."):
                flush(temporary / name)
            shutil.rmtree(place, ignore_errors=True)
            temporary.rename(place)
            flush(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    for other in listed_folder(folder):
        if other != place:
            shutil.rmtree(other, ignore_errors=True)
    return place


def read_state(place: Path) -> TrainingState:
    """Read the state in `place` and hold its files to their checksums. Raises DataError if anything is missing or was changed."""
    record = TrainingState.read(place / STATE_FILE)
    for name, expected in record.files.items():
        path = place / name
        with reading_errors(path):
            if not path.is_file() or file_sha256(path) != expected:
                raise DataError(f"{path} is missing or was changed")
    return record


def tensors_of(model: nn.Module, optimizer: Any) -> dict[str, Tensor]:
    """The tensors of a state: what trains of the model, its buffers, the optimiser's, and those of torch's random generators."""
    found = {f"parameter.{name}": p.detach() for name, p in model.named_parameters() if p.requires_grad}
    found |= {f"buffer.{name}": buffer for name, buffer in _own_buffers(model).items()}
    for index, parameter in _numbered(optimizer).items():
        for name, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                found[f"optimizer.{index}.{name}"] = value
    found["random.cpu"] = torch.random.get_rng_state()
    if torch.cuda.is_available():
        found |= {f"random.cuda.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return {name: tensor.cpu().contiguous() for name, tensor in found.items()}


def optimizer_numbers(optimizer: Any) -> dict[str, dict[str, Any]]:
    """The numbers in an optimiser's state that are no tensors, by the number of the parameter."""
    return {
        index: {name: value for name, value in optimizer.state[parameter].items() if not isinstance(value, Tensor)}
        for index, parameter in _numbered(optimizer).items()
        if parameter in optimizer.state
    }


def load_weights(place: Path, model: nn.Module) -> None:
    """Put the trained weights and buffers of a state into `model`. Raises DataError if they are those of another model."""
    wanted = {f"parameter.{name}": p for name, p in model.named_parameters() if p.requires_grad}
    wanted |= {f"buffer.{name}": buffer for name, buffer in _own_buffers(model).items()}
    with _opened(place) as stored, torch.no_grad():
        names = {name for name in stored.keys() if name.startswith(("parameter.", "buffer."))}  # noqa: SIM118  not a dict
        if names != wanted.keys():
            raise DataError(f"{place} is of a model with other parameters: {min(names ^ wanted.keys())}")
        for name, target in wanted.items():
            value = stored.get_tensor(name)
            if value.shape != target.shape or value.dtype != target.dtype:
                raise DataError(f"{place}: {name} has another shape or precision than the model's")
            target.copy_(value)


def load_optimizer(place: Path, record: TrainingState, optimizer: Any) -> None:
    """Put a state into a new optimiser, bit for bit: its own way of loading casts what it keeps to the weights' precision."""
    with _opened(place) as stored:
        names = [name for name in stored.keys() if name.startswith("optimizer.")]  # noqa: SIM118  not a dict
        for index, parameter in _numbered(optimizer).items():
            prefix = f"optimizer.{index}."
            values: dict[str, Any] = dict(record.optimizer.get(index, {}))
            for name in names:
                if name.startswith(prefix):
                    tensor = stored.get_tensor(name)
                    entry = name.removeprefix(prefix)
                    # AdamW counts its steps on the CPU, unless it is fused on a device.
                    on_cpu = entry == "step" and not optimizer.param_groups[int(index.split("-")[0])].get("fused")
                    values[entry] = tensor if on_cpu else tensor.to(parameter.device)
            if values:
                optimizer.state[parameter] = values
    for group, rates in zip(optimizer.param_groups, record.learning_rates, strict=True):
        group.update(rates)


def load_random_state(place: Path, record: TrainingState) -> None:
    """Set Python's, NumPy's and torch's random generators to those of a state."""
    version, numbers, gauss = record.python_random
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = record.numpy_random
    np.random.set_state((name, np.asarray(keys, dtype=np.uint32), *rest))  # noqa: NPY002  the one that others use
    with _opened(place) as stored:
        torch.random.set_rng_state(stored.get_tensor("random.cpu"))
        devices = sorted(name for name in stored.keys() if name.startswith("random.cuda."))  # noqa: SIM118  not a dict
        if devices and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([stored.get_tensor(name) for name in devices])


def python_random() -> list[Any]:
    """The state of Python's random generator, as JSON takes it."""
    version, numbers, gauss = random.getstate()
    return [version, list(numbers), gauss]


def numpy_random() -> list[Any]:
    """The state of NumPy's random generator, as JSON takes it."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  the one that others use
    return [name, np.asarray(keys).tolist(), *rest]


def _numbered(optimizer: Any) -> dict[str, nn.Parameter]:
    """The optimiser's parameters by group and place in it, the same in every run of the same model."""
    return {f"{g}-{i}": p for g, group in enumerate(optimizer.param_groups) for i, p in enumerate(group["params"])}


def _own_buffers(model: nn.Module) -> dict[str, Tensor]:
    """The buffers by name; of several names of the same memory, one."""
    found: dict[int, tuple[str, Tensor]] = {}
    for name, buffer in model.named_buffers():
        found.setdefault(buffer.data_ptr(), (name, buffer))
    return dict(found.values())


@contextmanager
def _opened(place: Path) -> Generator[Any]:
    from safetensors import safe_open

    with reading_errors(place / TENSORS_FILE), safe_open(place / TENSORS_FILE, framework="pt") as stored:
        yield stored
