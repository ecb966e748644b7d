"""Tensors kept between two passes: in memory up to a cap, the rest in one scratch file."""

from __future__ import annotations

import tempfile
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import torch
from torch import Tensor

from repdrift.core.errors import StorageError


@dataclass
class _Place:
    start: int
    nbytes: int
    shape: torch.Size
    dtype: torch.dtype


class ActivationStore:
    """One tensor a slot; putting a tensor where one is replaces it.

    cap_bytes: held in memory at most; what does not fit goes to an unnamed file in `scratch_dir` (None: the system's
    folder for temporary files), which is gone when the process is. It is read and written, not mapped, so that it does
    not count as this process's memory. Use as a context manager. Raises StorageError if the disk is full.
    """

    def __init__(self, cap_bytes: int, scratch_dir: Path | None = None) -> None:
        if cap_bytes < 0:
            raise ValueError(f"the cap must not be negative, got {cap_bytes}")
        self._cap_bytes = cap_bytes
        self._scratch_dir = scratch_dir
        self._held: dict[Hashable, Tensor] = {}
        self._placed: dict[Hashable, _Place] = {}
        self._file: IO[bytes] | None = None
        self.memory_bytes = 0
        self.file_bytes = 0

    def __enter__(self) -> ActivationStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.clear()
        self._placed.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def put(self, slot: Hashable, tensor: Tensor) -> None:
        """Keep a copy of `tensor` on the CPU."""
        size = tensor.numel() * tensor.element_size()
        held = self._held.get(slot)
        if held is not None and held.shape == tensor.shape and held.dtype == tensor.dtype:
            held.copy_(tensor)
            return
        if held is not None:
            self.memory_bytes -= held.numel() * held.element_size()
            del self._held[slot]
        if slot not in self._placed and self.memory_bytes + size <= self._cap_bytes:
            self._held[slot] = torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor)
            self.memory_bytes += size
            return
        self._write(slot, tensor.detach().to("cpu").contiguous(), size)

    def get(self, slot: Hashable) -> Tensor:
        """A tensor of its own: changing it does not change what is kept. Raises KeyError if the slot is empty."""
        if slot in self._held:
            return self._held[slot].clone()
        place = self._placed[slot]
        data = torch.empty(place.nbytes, dtype=torch.uint8)
        file = self._scratch()
        try:
            file.seek(place.start)
            read = file.readinto(data.numpy().data)  # pyright: ignore[reportAttributeAccessIssue]
        except OSError as error:
            raise self._failed(error) from error
        if read != place.nbytes:
            raise StorageError(f"the scratch file of activations gave {read} bytes of {place.nbytes}")
        return data.view(place.dtype).reshape(place.shape)

    def _write(self, slot: Hashable, tensor: Tensor, size: int) -> None:
        place = self._placed.get(slot)
        if place is None or place.nbytes < size:
            place = _Place(self.file_bytes, size, tensor.shape, tensor.dtype)
            self.file_bytes += size
        self._placed[slot] = _Place(place.start, size, tensor.shape, tensor.dtype)
        file = self._scratch()
        try:
            file.seek(place.start)
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)
        except OSError as error:
            raise self._failed(error) from error

    def _scratch(self) -> IO[bytes]:
        if self._file is None:
            try:
                self._file = tempfile.TemporaryFile(dir=self._scratch_dir)  # noqa: SIM115 (closed in __exit__)
            except OSError as error:
                raise self._failed(error) from error
        return self._file

    def _failed(self, error: OSError) -> StorageError:
        folder = self._scratch_dir or tempfile.gettempdir()
        return StorageError(
            f"activations beyond {self._cap_bytes / 1e6:.0f} MB of memory ({self.file_bytes / 1e6:.0f} MB so far) could not be kept "
            f"in {folder}: {error}. Give a scratch folder with more room, or fewer or shorter samples."
        )
