"""Tensors kept for later: in memory up to a cap, and beyond it in one temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Hashable
from dataclasses import dataclass
from types import TracebackType
from typing import IO

import torch
from torch import Tensor

from repdrift.core.errors import StorageError


@dataclass
class _FileRange:
    start: int
    nbytes: int
    shape: torch.Size
    dtype: torch.dtype


class ActivationStore:
    """Holds one tensor in each slot. Use it as a context manager.

    cap_bytes: tensors kept in memory take no more than this. The others go to an unnamed file in the system's folder for
    temporary files, which is gone when the process ends. The file is read and written, not mapped: mapped pages would
    count as this process's memory. memory_bytes, file_bytes: what the tensors take now.
    Raises StorageError if the file cannot be written.
    """

    def __init__(self, cap_bytes: int) -> None:
        if cap_bytes < 0:
            raise ValueError(f"the cap must not be negative, got {cap_bytes}")
        self._cap_bytes = cap_bytes
        self._in_memory: dict[Hashable, Tensor] = {}
        self._in_file: dict[Hashable, _FileRange] = {}
        self._file: IO[bytes] | None = None
        self.memory_bytes = 0
        self.file_bytes = 0

    def __enter__(self) -> ActivationStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._in_memory.clear()
        self._in_file.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def put(self, slot: Hashable, tensor: Tensor) -> None:
        """Keep a copy of `tensor` on the CPU, in place of what the slot held."""
        size = tensor.numel() * tensor.element_size()
        held = self._in_memory.get(slot)
        if held is not None and held.shape == tensor.shape and held.dtype == tensor.dtype:
            held.copy_(tensor)
            return
        if held is not None:
            self.memory_bytes -= held.numel() * held.element_size()
            del self._in_memory[slot]
        if slot not in self._in_file and self.memory_bytes + size <= self._cap_bytes:
            self._in_memory[slot] = torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor)
            self.memory_bytes += size
            return
        self._write(slot, tensor.detach().to("cpu").contiguous(), size)

    def get(self, slot: Hashable) -> Tensor:
        """A copy of the tensor in the slot. Raises KeyError if the slot is empty."""
        if slot in self._in_memory:
            return self._in_memory[slot].clone()
        stored = self._in_file[slot]
        data = torch.empty(stored.nbytes, dtype=torch.uint8)
        file = self._opened_file()
        try:
            file.seek(stored.start)
            read = file.readinto(data.numpy().data)  # pyright: ignore[reportAttributeAccessIssue]
        except OSError as error:
            raise self._failed(error) from error
        if read != stored.nbytes:
            raise StorageError(f"the temporary file of activations gave {read} bytes, expected {stored.nbytes}")
        return data.view(stored.dtype).reshape(stored.shape)

    def _write(self, slot: Hashable, tensor: Tensor, size: int) -> None:
        stored = self._in_file.get(slot)
        if stored is None or stored.nbytes < size:
            stored = _FileRange(self.file_bytes, size, tensor.shape, tensor.dtype)
            self.file_bytes += size
        self._in_file[slot] = _FileRange(stored.start, size, tensor.shape, tensor.dtype)
        file = self._opened_file()
        try:
            file.seek(stored.start)
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)
        except OSError as error:
            raise self._failed(error) from error

    def _opened_file(self) -> IO[bytes]:
        if self._file is None:
            try:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
            except OSError as error:
                raise self._failed(error) from error
        return self._file

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(
            f"activations beyond {self._cap_bytes / 1e6:.0f} MB of memory ({self.file_bytes / 1e6:.0f} MB so far) could not be "
            f"kept in {tempfile.gettempdir()}: {error}. Set TMPDIR to a folder on a disk with more room, or give fewer or "
            "shorter samples (--samples, --max-length)."
        )
