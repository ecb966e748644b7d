"""Writes a representation set batch by batch, straight to its final files; killed at any moment, it goes on from there."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from repdrift.core.atomic import atomic_path
from repdrift.core.errors import ShapeError, StorageError, UnfinishedSetError
from repdrift.core.progress import say
from repdrift.core.records.representation_set import METADATA_FILE, PayloadFormat, SetMetadata
from repdrift.stores.lock import SetLock
from repdrift.stores.names import PARTIAL_FOLDER, adapter_name, layer_name
from repdrift.stores.open_partial import OpenPartial
from repdrift.stores.opening import finished_set
from repdrift.stores.partial import PartialHeader, done_batches, journal_path, read_header, read_lines
from repdrift.stores.payload import payload_dtype
from repdrift.stores.placed_batch import PlacedBatch
from repdrift.stores.placement import begin_anew, put_in_place, remove_temporaries, require_space

_WAIT_FOR_FIRST_RANK_S = 600.0
_LOOK_EVERY_S = 0.05


class RepresentationSetWriter:
    """A context manager that writes one set of `layers` x `rows` into `folder`, in `n_batches` batches numbered from 0.

    key: of the set; an unfinished set of the same key that is on disk is gone on with, one of another key is discarded.
    plan: JSON, opaque here; how the batches are composed. layers: block numbers. dtype: of the tensors that will come.
    With several ranks: rank 0 enters first, then (a barrier of the caller's) the others; rank 0 prepares first, the others
    wait for it; each rank writes its own batches and calls flush(); then (a barrier) rank 0 finishes.

    Entering takes the set's lock (rank 0) and waits for it if another process has it. After entering:
    `finished`: the metadata of the finished set of this key, if there is one now: nothing needs to be done.
    `plan`, `n_batches`: what to go by, those of the unfinished set on disk if there is one, else those given.
    `done`: the batches that an earlier run left complete, re-read and found to have their checksums.
    The set that was in the folder before stays as it is until the first prepare() or write.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key: str,
        layers: Sequence[int],
        rows: int,
        plan: Any = None,
        n_batches: int = 1,
        payload: PayloadFormat = "pt",
        dtype: str = "float32",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not layers or len(set(layers)) != len(layers):
            raise ShapeError(f"a set has at least one layer and each once, got {list(layers)}")
        if rows < 1 or n_batches < 1 or not 0 <= rank < world_size:
            raise ShapeError(
                f"a set has at least one row and one batch, and a rank is below the world size; got {rows} rows, "
                f"{n_batches} batches, rank {rank} of {world_size}"
            )
        payload_dtype(dtype)
        self.folder = folder
        self.key = key
        self.layers = sorted(layers)
        self.rows = rows
        self.payload: PayloadFormat = payload
        self.dtype = dtype
        self.rank, self.world_size = rank, world_size
        self.plan: Any = json.loads(json.dumps(plan))
        self.n_batches = n_batches
        self.done: frozenset[int] = frozenset()
        self.finished: SetMetadata | None = None
        self._lock = SetLock(folder)
        self._partial: OpenPartial | None = None
        self._begun = False
        self._adapters: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self.rank > 0:
            header = self._header_on_disk()
            if header is not None:
                self._adopt(header, done_batches(read_lines(self.folder), self.layers))
            return self
        self._lock.__enter__()
        try:
            self._look_around()
        except BaseException:
            self._lock.__exit__()
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if self._partial is not None:
                # What waits is still written, whatever went wrong: it need not be computed again.
                self._partial.close(quiet=kind is not None)
        finally:
            self._partial = None
            if self.rank == 0:
                self._lock.__exit__()

    def done_in(self, layer: int) -> frozenset[int]:
        """The batches that an earlier run left complete in one layer at least: for writing layer by layer."""
        return frozenset() if self._partial is None else self._partial.found_in(layer)

    def prepare(self, width: int) -> None:
        """Make the files for (rows, `width`) layers, unless they are there; other ranks than 0 wait for rank 0's.

        Takes the place of what was in the folder. Raises StorageError if the disk has no room for all of them,
        ShapeError if the unfinished set on disk has another width.
        """
        if self._partial is None:
            if self.rank > 0:
                self._partial = OpenPartial.join(self.folder, self._wait_for_header(), self.rank, self.world_size)
            else:
                header = self._header(width)
                if not self._begun:
                    require_space(self.folder, header.layout.total_bytes * len(self.layers))
                self._begin()
                self._partial = OpenPartial.create(self.folder, header, self.world_size)
        if width != self._partial.header.d:
            raise ShapeError(f"the set has {self._partial.header.d} features a row, got {width}")

    def write_batch(self, number: int, rows: Tensor, tensors: Mapping[int, Tensor]) -> None:
        """Hand over batch `number`: by layer (m, d) of the set's dtype, which belong at `rows`, (m,) int64, in any order.

        Layers may come in several calls; what an earlier run left complete is passed over. Returns before the data is
        in the files: the tensors must not be changed afterwards. Waits while a quarter of a gigabyte is queued.
        Raises NonFiniteError naming layer and row, ShapeError, and StorageError of an earlier batch.
        """
        if not 0 <= number < self.n_batches:
            raise ShapeError(f"batch {number} is not in the plan (batches 0 to {self.n_batches - 1})")
        unknown = [layer for layer in tensors if layer not in self.layers]
        if unknown:
            raise ShapeError(f"layer {unknown[0]} is not one of the set's ({', '.join(map(str, self.layers))})")
        batch = PlacedBatch.of(number, rows, tensors, total_rows=self.rows, dtype=self.dtype)
        self.prepare(batch.width)
        self._opened().write(batch)

    def write_layer(self, layer: int, tensor: Tensor) -> None:
        """Write one whole layer, (rows, d), in a set of one batch. Raises as write_batch does."""
        if self.n_batches != 1:
            raise ShapeError(f"whole layers are written in a set of one batch; this one has {self.n_batches}")
        expected = (self.rows, self._partial.header.d if self._partial else "features")
        if tensor.dim() != 2 or tensor.shape[0] != self.rows or expected[1] not in ("features", tensor.shape[1]):
            raise ShapeError(f"layer {layer} should be ({expected[0]}, {expected[1]}), got {tuple(tensor.shape)}")
        self.write_batch(0, torch.arange(self.rows), {layer: tensor})

    def write_adapter(self, layer: int, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> None:
        """Write one block's LoRA matrices: a tensor each where one module is adapted, else a dict by module name."""
        if self.rank > 0:
            raise ShapeError(f"rank 0 writes the adapter, not rank {self.rank}")
        self._begin()
        for letter, matrices in (("A", a), ("B", b)):
            owned = {name: _owned(matrix) for name, matrix in matrices.items()}
            stream = io.BytesIO()  # given a path, torch.save would put its name into the file
            torch.save(next(iter(owned.values())) if len(owned) == 1 else owned, stream)
            name = adapter_name(letter, layer)
            with atomic_path(self.folder / PARTIAL_FOLDER / name) as temporary:
                temporary.write_bytes(stream.getbuffer())
            self._adapters[name] = hashlib.sha256(stream.getbuffer()).hexdigest()

    def flush(self) -> None:
        """Wait until what was handed over is in the files. Raises what went wrong on the way."""
        if self._partial is not None:
            self._partial.flush(to_disk=self.rank > 0)

    def finish(self, **fields: Any) -> SetMetadata:
        """Complete the files, put them in place, and write metadata.json, last of all.

        fields: those of SetMetadata; key, layers, shape, dtype, payload and files are known here and may be left out.
        Raises UnfinishedSetError if a batch is missing, of whichever rank, ShapeError if a row is in no batch or a field
        contradicts what was written.
        """
        if self.rank > 0:
            raise ShapeError(f"rank 0 finishes the set, not rank {self.rank}")
        if self._partial is None and self.finished is not None:
            raise ShapeError(f"{self.folder} is finished already: there is nothing to write")
        self.flush()
        # Until something is written under this key, what lies in `.partial` belongs to another set: it counts for nothing.
        lines = [] if self._partial is None else read_lines(self.folder)
        missing = sorted(set(range(self.n_batches)) - done_batches(lines, self.layers))
        if self._partial is None or missing:
            raise UnfinishedSetError(
                f"{self.folder}: {len(missing)} of {self.n_batches} batches are not written (the first is {missing[0]})"
            )
        header = self._partial.header
        known = {
            "key": self.key, "layers": self.layers, "shape": [self.rows, header.d], "dtype": self.dtype, "payload": self.payload,
        }  # fmt: skip
        wrong = [name for name in known if name in fields and fields[name] != known[name]]
        if wrong:
            raise ShapeError(
                f"the set's {wrong[0]} is {known[wrong[0]]!r}, its metadata was to say {fields[wrong[0]]!r}"
            )
        digests = self._partial.complete(lines)
        files = {layer_name(layer, self.payload): digest for layer, digest in digests.items()} | self._adapters
        metadata = SetMetadata(**{**fields, **known, "files": files})
        put_in_place(self.folder, files)
        metadata.write(self.folder / METADATA_FILE)
        self._partial.close(quiet=True)
        self._partial = None
        shutil.rmtree(self.folder / PARTIAL_FOLDER)
        remove_temporaries(self.folder)
        self.finished = metadata
        return metadata

    def _look_around(self) -> None:
        self.finished = finished_set(self.folder, self.key)
        if self.finished is not None:
            shutil.rmtree(self.folder / PARTIAL_FOLDER, ignore_errors=True)  # a crash just before its end left it
            return
        header = self._header_on_disk()
        if header is None:
            return
        self._partial, damaged = OpenPartial.resume(self.folder, header, self.world_size)
        self._begun = True
        self._adopt(header, self._partial.done())
        if damaged:
            say(f"{self.folder}: {damaged} written batches do not have their checksums and are done again")

    def _adopt(self, header: PartialHeader, done: set[int]) -> None:
        self.plan, self.n_batches = header.plan, header.n_batches
        self.done = frozenset(done)

    def _begin(self) -> None:
        if not self._begun:
            begin_anew(self.folder)
            self._begun = True

    def _header(self, width: int) -> PartialHeader:
        return PartialHeader(
            key=self.key, plan=self.plan, n_batches=self.n_batches, layers=self.layers, rows=self.rows, d=width,
            dtype=self.dtype, payload=self.payload,
        )  # fmt: skip

    def _header_on_disk(self) -> PartialHeader | None:
        header = read_header(self.folder)
        if header is None:
            return None
        expected = self._header(header.d).model_copy(update={"plan": header.plan, "n_batches": header.n_batches})
        return header if header == expected else None

    def _wait_for_header(self) -> PartialHeader:
        until = time.monotonic() + _WAIT_FOR_FIRST_RANK_S
        while (header := self._header_on_disk()) is None:
            if time.monotonic() > until:
                raise StorageError(
                    f"rank {self.rank}: {journal_path(self.folder)}, which rank 0 makes, did not appear within "
                    f"{_WAIT_FOR_FIRST_RANK_S:.0f} s. All ranks need the same folder on a shared file system."
                )
            time.sleep(_LOOK_EVERY_S)
        return header

    def _opened(self) -> OpenPartial:
        assert self._partial is not None  # noqa: S101  prepare() came before
        return self._partial


def _owned(tensor: Tensor) -> Tensor:
    """A contiguous CPU tensor whose storage holds nothing else: torch.save writes the whole storage of a view."""
    tensor = tensor.detach().cpu().contiguous()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()
