"""Files with a tensor for each batch of a pass, in a folder of their own; a record that is written last makes them count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from repdrift.core.atomic import atomic_path, storage_errors
from repdrift.core.errors import StorageError
from repdrift.core.fingerprint import config_sha256, file_sha256
from repdrift.core.reading import listed_folder, reading_errors, stands_there

_TENSOR = "states"
_BATCH = "batch_"
_AGAIN = "Run the command again."


class BatchFiles:
    """The files of one pass. Names tell the batch and the plan, so that files of other batches are never taken for these.

    A process that is killed leaves files without a record. The same pass with the same plan goes on after them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[int, str] = {}
        self._tag = ""

    def begin(self, plan: Mapping[str, int | None]) -> None:
        """Name the files of a pass with this plan."""
        self._names = {}
        self._tag = config_sha256({"plan": dict(plan)})[:8]

    def found(self, files: Mapping[str, str]) -> str | None:
        """Take over the files that a record names with their SHA-256; returns what is wrong with them, None if nothing is."""
        for name, expected in files.items():
            if not stands_there(self.folder / name) or _sha256(self.folder / name) != expected:
                return f"{name} does not have its checksum"
        self.take(files)
        return None

    def take(self, files: Iterable[str]) -> None:
        """Take over finished files by their names, which sort in the order of their batches."""
        self._names = dict(enumerate(sorted(files)))

    def put(self, number: int, content: Tensor) -> None:
        """Write the tensor of one batch. Raises StorageError if it cannot be written."""
        with atomic_path(self.folder / self._name(number)) as temporary:
            save_file({_TENSOR: content.contiguous()}, temporary)

    def get(self, number: int) -> Tensor:
        """Read the tensor of one batch. Raises StorageError if the file is gone or damaged."""
        path = self.folder / self._name(number)
        with reading_errors(path, StorageError, _AGAIN):
            try:
                return load_file(path)[_TENSOR]
            except (SafetensorError, KeyError) as error:
                raise StorageError(f"{path} cannot be read: {error}. {_AGAIN}") from error

    def all_there(self, numbers: Iterable[int]) -> bool:
        """True if every one of these batches has its file."""
        return all(stands_there(self.folder / self._name(number)) for number in numbers)

    def checksums(self, numbers: Iterable[int]) -> dict[str, str]:
        """The SHA-256 of the files of these batches, by their names; files of other batches are removed."""
        files = {name: _sha256(self.folder / name) for name in map(self._name, numbers)}
        self.remove(but=files)
        return files

    def remove(self, but: Iterable[str] = ()) -> None:
        """Remove the files of all batches, but those of these names."""
        kept = set(but)
        if not stands_there(self.folder):
            return
        for path in listed_folder(self.folder):
            if path.name.startswith(_BATCH) and path.name not in kept:
                with storage_errors(path):
                    path.unlink(missing_ok=True)

    def _name(self, number: int) -> str:
        return self._names.get(number, f"{_BATCH}{number:06d}_{self._tag}.safetensors")


def _sha256(path: Path) -> str:
    with reading_errors(path, StorageError, _AGAIN):
        return file_sha256(path)
