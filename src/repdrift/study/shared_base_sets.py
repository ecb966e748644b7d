"""The base model's sets in a store that several studies and machines share: each is made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from repdrift.core.errors import CorruptSetError, MissingRunError
from repdrift.core.progress import say
from repdrift.core.records.representation_set import METADATA_FILE, SetMetadata
from repdrift.extraction import ExtractionJob
from repdrift.stores import finished_set
from repdrift.stores.remote import (
    Remote,
    StoredFile,
    StoredFolder,
    fetch_folder,
    push_folders,
    read_folder,
    shared_folders,
)
from repdrift.stores.set_folder import UNFINISHED_FOLDER

_KEY_DIGITS = 16


@dataclass(frozen=True)
class SharedBaseSets:
    """The sets of base models in one store.

    A set lies at TASK/FOLDER-KEY, so that studies with other models or settings do not replace each other's. One that
    `repdrift push base_representations` sent lies at TASK/FOLDER, and is found there too.
    """

    remote: Remote
    jobs: int

    def holds(self, task: str) -> bool:
        """Tell whether anything is there for a task."""
        return bool(self._files(task))

    def fetch(self, job: ExtractionJob, folder: Path) -> None:
        """Fetch the set of this job into `folder`, unless it is here, or begun here, or the store has none of its key.

        Raises StorageError if the store cannot be reached; CorruptSetError if what it has is damaged, or not what its key says.
        """
        key = job.key()
        if finished_set(folder, key, job.settings()) is not None or (folder / UNFINISHED_FOLDER).is_dir():
            return
        stored = self._fitting(job, folder, key)
        if stored is None:
            say(
                f"{self.remote.address} has no {folder.name} of {job.task} of this model, samples and settings: it is made here"
            )
        else:
            fetch_folder(self.remote, stored, folder, jobs=self.jobs)

    def send(self, job: ExtractionJob, folder: Path) -> None:
        """Send the set of this job, unless the store has one of its key: the first one stays."""
        name = _shared_name(job.task, folder, job.key())
        if self._stored(name) is not None:
            return
        base = _base_beside(folder)
        if (
            base is not None
            and self._files_of(_shared_name(job.task, base, _metadata(base).key)) != _metadata(base).files
        ):
            return  # the store's base set was made elsewhere, and this second extraction goes with ours
        (shared,) = shared_folders(folder, ("set",))
        push_folders([replace(shared, name=name)], self.remote, jobs=self.jobs)

    def _fitting(self, job: ExtractionJob, folder: Path, key: str) -> StoredFolder | None:
        base = _base_beside(folder)
        names = {_shared_name(job.task, folder, key): None, f"{job.task}/{folder.name}": None}
        if base is not None:
            names = dict(
                zip(names, (_shared_name(job.task, base, _metadata(base).key), f"{job.task}/{base.name}"), strict=True)
            )
        for name, base_name in names.items():
            stored = self._stored(name)
            if stored is None or stored.metadata is None or stored.metadata.key != key:
                continue
            if stored.metadata.settings and stored.metadata.settings != job.settings():
                continue
            # Two extractions differ by the noise of extraction alone only if one machine made both.
            if base is not None and base_name is not None and self._files_of(base_name) != _metadata(base).files:
                continue
            _require_as_the_key_says(job, stored.metadata, f"{self.remote.address}/{name}")
            return stored
        return None

    def _stored(self, name: str) -> StoredFolder | None:
        there = self._files(name)
        return read_folder(self.remote, name, METADATA_FILE, there) if f"{name}/{METADATA_FILE}" in there else None

    def _files_of(self, name: str) -> dict[str, str] | None:
        stored = self._stored(name)
        return None if stored is None else stored.files

    def _files(self, below: str) -> Mapping[str, StoredFile]:
        try:
            return self.remote.files(below)
        except MissingRunError:
            return {}


def _shared_name(task: str, folder: Path, key: str) -> str:
    return f"{task}/{folder.name}-{key[:_KEY_DIGITS]}"


def _base_beside(folder: Path) -> Path | None:
    """The finished base set beside a second extraction; None for the base set itself."""
    beside = folder.parent / "step_000000"
    return None if folder == beside or not (beside / METADATA_FILE).is_file() else beside


def _metadata(folder: Path) -> SetMetadata:
    return SetMetadata.read(folder / METADATA_FILE)


def _require_as_the_key_says(job: ExtractionJob, metadata: SetMetadata, where: str) -> None:
    """Raises CorruptSetError if metadata bears the job's key, but says that it is of something else."""
    expected = {
        "weights_digest": job.source.weights_digest(),
        "sample_set_fingerprint": job.samples.fingerprint,
        "sample_ids": list(job.samples.sample_ids),
        "pooling": job.pooling,
        "method": job.method,
    }
    for name, value in expected.items():
        if getattr(metadata, name) != value:
            raise CorruptSetError(
                f"{where} bears the key of the wanted set, and its {name} is another. It was not fetched: remove it there, or take stores.base out."
            )
