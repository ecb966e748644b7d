"""Final hidden states of the base model at the places where predictions are read: in memory, or kept on disk for the next run.

On disk a state takes as many bytes as the model's number format: 750 samples of 60 tokens at width 576 are 104 MB in float32. Logits
would take 85 times that with a vocabulary of 49,152, and are never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import RepdriftError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.process_group import device, world
from repdrift.core.progress import say
from repdrift.core.reading import stands_there
from repdrift.core.records.base import library_versions
from repdrift.core.records.base_states import BASE_STATES_FILE, BaseStatesRecord
from repdrift.models import ModelSource, settings_digests
from repdrift.models.output_head import HeadKind
from repdrift.outcomes.batch_files import BatchFiles
from repdrift.outcomes.read_places import MASK_RULE
from repdrift.tasks import SampleSet


class StatesInMemory:
    """States of the samples that this process has run, (m, d) each."""

    def __init__(self) -> None:
        self._states: dict[int, Tensor] = {}

    def put(self, number: int, samples: Sequence[int], counts: Sequence[int], states: Tensor) -> None:  # noqa: ARG002
        """Keep the states of one batch. number: the batch's. samples: in the order of `states`. counts: places of each."""
        self._states |= dict(zip(samples, states.split(list(counts)), strict=True))

    def get(self, number: int, samples: Sequence[int]) -> Tensor:  # noqa: ARG002
        """Returns the states of one batch, or of any samples, in their order."""
        return torch.cat([self._states[index] for index in samples])


class StatesOnDisk:
    """States in a folder of their own below `root`, named by what determines them.

    They are written batch by batch, and the record last. A finished folder is read only if every file has its checksum.
    """

    def __init__(self, root: Path, key: str) -> None:
        self.key = key
        self.folder = root / key[:24]
        self.record: BaseStatesRecord | None = None
        self._files = BatchFiles(self.folder)

    def find(self) -> BaseStatesRecord | None:
        """The record of finished states of this key whose files are as they were written; None if they are to be made anew."""
        path = self.folder / BASE_STATES_FILE
        if not stands_there(path):
            return None
        try:
            record = BaseStatesRecord.read(path)
            fault = "they are of another key" if record.key != self.key else self._files.found(record.files)
        except RepdriftError as error:
            record, fault = None, str(error)
        if fault is not None:
            say(f"the base model's hidden states in {self.folder} are not used: {fault}. The base model is run again")
            return None
        self.record = record
        return record

    def take(self, record: BaseStatesRecord) -> None:
        """Take over what the first process has found."""
        self.record = record
        self._files.take(record.files)

    def begin(self, plan: Mapping[str, int | None]) -> None:
        """Name the batches that are to be run. The first process removes what stands of a finished pass that cannot be used."""
        path = self.folder / BASE_STATES_FILE
        if world().is_first and stands_there(path):
            with storage_errors(path):
                path.unlink(missing_ok=True)
            self._files.remove()
        self._files.begin(plan)

    def put(self, number: int, samples: Sequence[int], counts: Sequence[int], states: Tensor) -> None:  # noqa: ARG002
        """Write the states of one batch. Raises StorageError if they cannot be written."""
        self._files.put(number, states)

    def get(self, number: int, samples: Sequence[int]) -> Tensor:  # noqa: ARG002
        """Read the states of one batch. Raises StorageError if the file is gone or damaged since it was checked."""
        return self._files.get(number)

    def all_there(self, numbers: Iterable[int]) -> bool:
        """True if every one of these batches has its states on the disk."""
        return self._files.all_there(numbers)

    def finish(self, plan: Mapping[str, int | None], numbers: Iterable[int], places: int) -> None:
        """Write the record, after which the states count as finished."""
        self.record = BaseStatesRecord(
            key=self.key,
            plan=dict(plan),
            files=self._files.checksums(numbers),
            places=places,
            width=int(self.get(0, ()).shape[1]),
            versions=library_versions(),
        )
        self.record.write(self.folder / BASE_STATES_FILE)


BaseStates = StatesInMemory | StatesOnDisk


def states_key(base: ModelSource, samples: SampleSet, kind: HeadKind, dtype: str) -> str:
    """Hash of everything that determines the base model's states at the places of `samples`."""
    versions = library_versions()
    fields: dict[str, Any] = {
        "format": 1,
        "base": base.weights_digest(),
        "settings": settings_digests(base),
        "samples": samples.fingerprint,
        "pool_over": samples.pool_over,
        "places": "next token" if kind == "causal" else MASK_RULE,
        "dtype": dtype,
        "device": device().type,
        "versions": {name: versions.get(name) for name in ("torch", "transformers")},
        "threads": torch.get_num_threads(),
    }
    return config_sha256(fields)


def made_once(states: StatesOnDisk, make: Callable[[], None]) -> None:
    """Calls `make` in every process, unless the first one finds finished states, whose record then holds in all.

    Another command that makes the same states is waited for: several jobs of a study may need them at once.
    """
    processes = world()
    if processes.size == 1:
        with _one_at_a_time(states.folder.with_suffix(".lock")):
            if states.find() is None:
                make()
        return
    found = processes.from_first(states.find() if processes.is_first else None)
    if not processes.is_first and found is not None:
        states.take(found)
    if found is None:
        make()


@contextmanager
def _one_at_a_time(lock_file: Path) -> Generator[None]:
    """Holds a lock inside the block; the system releases that of a process that died."""
    lock = FileLock(lock_file, thread_local=False)
    with storage_errors(lock_file):
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        with suppress(OSError):
            lock_file.unlink()  # while it is held; who has opened the file meanwhile takes a new one (filelock from 3.24 on)
        lock.release()
