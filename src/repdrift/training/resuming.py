"""Resuming a training that was killed: when its state is saved, and how the state is found again and judged."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from repdrift.core.errors import DataError, RepdriftError, StorageError
from repdrift.core.fingerprint import config_sha256, unchanged_file_sha256
from repdrift.core.progress import say
from repdrift.core.reading import files_below, listed_folder, reading_errors, stands_there
from repdrift.core.records.base import library_versions
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER, RUN_FILE
from repdrift.training.checkpoints import CheckpointScores
from repdrift.training.quantised_layers import packed_weights
from repdrift.training.save_interval import SaveInterval
from repdrift.training.training_state import (
    STATE_FOLDER,
    TrainingState,
    numpy_random,
    optimizer_numbers,
    python_random,
    read_state,
    states_folder,
    tensors_of,
    write_state,
)


@dataclass(frozen=True)
class Unfinished:
    """A saved state of a run. folder: that of the run. place: that of the state."""

    folder: Path
    place: Path
    record: TrainingState


def find_unfinished(results_dir: Path, key: str) -> Unfinished | None:
    """The latest whole state of the run with this key; None if there is none.

    Only who holds the claim on the run may ask. A state that was damaged is deleted, and so is a folder of the run in which
    no whole state is left; both are said.
    """
    for folder in listed_folder(results_dir) if stands_there(results_dir) else []:
        states = states_folder(folder, key)
        if not states.is_dir() or stands_there(folder / RUN_FILE):
            continue
        for place in reversed([path for path in listed_folder(states) if path.name.startswith("step_")]):
            try:
                record = read_state(place)
                _require_own(record, key, folder)
                return Unfinished(folder, place, record)
            except RepdriftError as error:
                say(f"note: the saved state {place} cannot be used: {error}")
        say(f"note: {folder} holds no state that can be resumed. It is deleted, and the training starts anew.")
        shutil.rmtree(folder, ignore_errors=True)
    return None


def start_sha256(model: nn.Module, base_settings: dict[str, str]) -> str:
    """The digest of what a training begins with, beside the base model's weights: the base's settings, device, new adapter.

    A full model begins with the base model's weights, which the run's key holds.
    """
    digest = hashlib.sha256()
    if hasattr(model, "peft_config"):
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                digest.update(f"{name}\0".encode() + parameter.detach().cpu().float().numpy().tobytes())
        for packed in packed_weights(model):  # another version of what quantises may round otherwise
            digest.update(packed.detach().cpu().numpy().tobytes())
    device = next(model.parameters()).device.type
    return config_sha256({"settings": base_settings, "device": device, "adapter": digest.hexdigest()})


def why_not_resumed(found: Unfinished, start: str) -> str | None:
    """Says why a whole state must not be continued now; None if nothing is against it."""
    now = library_versions()
    changed = [name for name in now if found.record.versions.get(name) != now[name]]
    if changed:
        return (
            f"it was written with {changed[0]} {found.record.versions.get(changed[0])}, and this is {now[changed[0]]}"
        )
    if found.record.start != start:
        return (
            "the training would begin from other weights now, on this device and with these settings of the base model"
        )
    return None


def discard(found: Unfinished) -> None:
    """Delete what a run has saved so far, so that it can start anew in its folder."""
    for path in listed_folder(found.folder):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def remove_states(run_folder: Path) -> None:
    """Delete the states of a run that is done."""
    shutil.rmtree(run_folder / STATE_FOLDER, ignore_errors=True)


class Resuming:
    """Judges the state that was found of a run, and makes what saves its states. resumed: the state that it goes on from.

    found: from `find_unfinished`. base_settings: those of the base model now.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        interval: SaveInterval,
        base_settings: dict[str, str],
        found: Unfinished | None = None,
    ) -> None:
        self._folder = folder
        self._key = key
        self._interval = interval
        self._base_settings = base_settings
        self._found = found
        self.resumed: Unfinished | None = None

    def keeper(self, model: nn.Module, scores: CheckpointScores) -> StateKeeper:
        """Returns the keeper of the states of `model`, which is ready for training. A state that must not be continued is deleted, with a word."""
        start = start_sha256(model, self._base_settings)
        found = self._found
        if found is not None and (why := why_not_resumed(found, start)) is not None:
            say(f"note: the saved state {found.place} is not used, since {why}. The training starts anew.")
            discard(found)
        elif found is not None:
            drop_later(found)
            say(f"going on after step {found.record.step}{_other_threads(found.record.threads)}")
            self.resumed = found
        return StateKeeper(self._folder, self._key, self._interval, start, scores, self.resumed)


def _other_threads(before: int | None) -> str:
    """Says so if another number of threads trained before: the same state then ends with other last bits."""
    now = torch.get_num_threads()
    if before in (None, now):
        return ""
    return (
        f" (with {now} threads, and {before} before: sums are rounded otherwise, so the weights will differ in their last bits from those of a run that "
        "never stopped)"
    )


class StateKeeper:
    """Saves the state of a training at intervals, and restores it.

    folder: of the run. start: from `start_sha256`. scores: of the run's checkpoints; they are part of the state. found: the
    state to go on from; None: the training begins. A state that the disk does not take is
    said once and left out: the training itself goes on.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        interval: SaveInterval,
        start: str,
        scores: CheckpointScores,
        found: Unfinished | None,
    ) -> None:
        self._run_folder = folder
        self._folder = states_folder(folder, key)
        self._key = key
        self._interval = interval
        self._start = start
        self._begun = self._last = time.monotonic()
        self._earlier_s = found.record.wall_time_s if found else 0.0
        self._stopped = False
        self._scores = scores
        if found:
            scores.restore(found.record.scores)
        self.found = found

    @property
    def wall_time_s(self) -> float:
        """Seconds that the training has taken, those before it was killed among them."""
        return self._earlier_s + time.monotonic() - self._begun

    def is_due(self, step: int) -> bool:
        """Tells whether a state should be saved after this step."""
        if self._stopped:
            return False
        if self._interval.steps is not None:
            return step % self._interval.steps == 0
        minutes = self._interval.minutes
        return minutes is not None and time.monotonic() - self._last >= 60 * minutes

    def save(self, trainer: Any, loss: dict[str, float], checkpoints: Sequence[int], peak: int | None) -> None:
        """Save the state of `trainer` (transformers') after its last step."""
        tensors = tensors_of(trainer.model, trainer.optimizer)
        needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        try:
            free = shutil.disk_usage(self._run_folder).free
            if needed > free:
                raise StorageError(f"it takes {needed:,} bytes, and {free:,} are free")
            progress = json.dumps(dataclasses.asdict(trainer.state), indent=2, sort_keys=True) + "\n"
            write_state(self._folder, tensors, progress, self._record(trainer, loss, checkpoints, peak))
        except (StorageError, OSError) as error:
            self._stopped = True
            say(
                f"note: {self._run_folder}: no state is saved any more, so that a kill would lose the training: {error}"
            )
        self._last = time.monotonic()

    def _record(
        self, trainer: Any, loss: dict[str, float], checkpoints: Sequence[int], peak: int | None
    ) -> TrainingState:
        scheduler = {name: value for name, value in trainer.lr_scheduler.state_dict().items() if name != "lr_lambdas"}
        return TrainingState(
            key=self._key,
            step=int(trainer.state.global_step),
            start=self._start,
            versions=library_versions(),
            threads=torch.get_num_threads(),
            files={},
            checkpoints=checkpoint_sums(self._run_folder),
            checkpoint_steps=list(checkpoints),
            optimizer=optimizer_numbers(trainer.optimizer),
            learning_rates=[
                {name: float(group[name]) for name in ("lr", "initial_lr") if name in group}
                for group in trainer.optimizer.param_groups
            ],
            scheduler={name: value for name, value in scheduler.items() if _is_plain(value)},
            python_random=python_random(),
            numpy_random=numpy_random(),
            loss=loss,
            scores=self._scores.as_json(),
            resumed_at=[*self.found.record.resumed_at, self.found.record.step] if self.found else [],
            wall_time_s=self.wall_time_s,
            peak_memory_bytes=peak,
        )


def checkpoint_sums(run_folder: Path) -> dict[str, str]:
    """SHA-256 of every file of the checkpoints so far, by path below the run's folder."""
    folder = run_folder / CHECKPOINT_FOLDER
    paths = files_below(folder) if folder.is_dir() else []
    return {path.relative_to(run_folder).as_posix(): _sha256(path) for path in paths}


def drop_later(found: Unfinished) -> None:
    """Delete what was saved after the state: a resumed run takes these steps, and saves their checkpoints, again."""
    folder = found.folder / CHECKPOINT_FOLDER
    kept = {f"step_{step:06d}" for step in found.record.checkpoint_steps}
    for path in listed_folder(folder) if folder.is_dir() else []:
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(found.folder / MODEL_FOLDER, ignore_errors=True)


def _require_own(record: TrainingState, key: str, folder: Path) -> None:
    if record.key != key:
        raise DataError("it belongs to another run")
    for name, expected in record.checkpoints.items():
        path = folder / name
        if not path.is_file() or _sha256(path) != expected:
            raise DataError(f"checkpoint {path} is missing or was changed")


def _sha256(path: Path) -> str:
    with reading_errors(path):
        return unchanged_file_sha256(path)


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, (int, float)) for item in value)
    return value is None or isinstance(value, (bool, int, float))
