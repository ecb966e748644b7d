"""Writes a representation set batch by batch, straight into its files. Killed at any moment, the next writer goes on."""

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

from repdrift.core.atomic import atomic_path, storage_errors
from repdrift.core.errors import ShapeError, StorageError, UnfinishedSetError
from repdrift.core.progress import say
from repdrift.core.records.representation_set import METADATA_FILE, PayloadFormat, SetMetadata
from repdrift.core.records.sites import RESID_POST, SiteLayer, in_order, places_of
from repdrift.stores.journal import JournalHeader, complete_batches, journal_path, read_header, read_lines
from repdrift.stores.payload import payload_dtype
from repdrift.stores.row_batch import RowBatch
from repdrift.stores.set_folder import (
    UNFINISHED_FOLDER,
    SetLock,
    adapter_name,
    clear_for_new_set,
    move_into_place,
    place_name,
    remove_temporaries,
    require_no_folders,
    require_space,
)
from repdrift.stores.set_reader import finished_set
from repdrift.stores.unfinished_set import UnfinishedSet

_WAIT_FOR_FIRST_RANK_S = 600.0
_LOOK_EVERY_S = 0.05


class RepresentationSetWriter:
    """A context manager that writes one set into `folder`: `layers` with `n_rows` rows each, in `n_batches` batches.

    key: the hash of what determines the content; settings: what determines it beside the key, see SetMetadata. The writer
    goes on with an unfinished set of the same key and settings, and removes any other set. layers: block numbers. sites: by site other than `resid_post` the layers that have it. plan: how the caller composes the batches, as JSON; not interpreted here.
    Batches are numbered from 0. dtype: the floating-point type of the tensors that will come.

    Entering takes the set's lock, or waits until another process has released it. After entering:
    `finished` is the metadata of the finished set of this key if there is one: then nothing needs to be written.
    `plan` and `n_batches` are those of the unfinished set on disk if there is one, else those given: go by them.
    `done` are the batches that an earlier run left complete and whose checksums match.
    The set that was in the folder before stays as it is until the first write.

    Several ranks write one set in these steps, with a barrier of the caller's between them: rank 0 enters; the others enter;
    each writes its own batches and calls flush(); rank 0 calls finish(). Rank 0 takes the lock and makes the files, the
    others wait for the files.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key: str,
        settings: Mapping[str, str] | None = None,
        layers: Sequence[int],
        sites: Mapping[str, Sequence[int]] | None = None,
        n_rows: int,
        plan: Any = None,
        n_batches: int = 1,
        payload: PayloadFormat = "pt",
        dtype: str = "float32",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not layers or len(set(layers)) != len(layers):
            raise ShapeError(f"a set has at least one layer, and each only once; got {list(layers)}")
        if n_rows < 1 or n_batches < 1 or not 0 <= rank < world_size:
            raise ShapeError(
                f"a set has at least one row and one batch, and a rank is below the world size; got {n_rows} rows, "
                f"{n_batches} batches, rank {rank} of {world_size}"
            )
        payload_dtype(dtype)
        self.folder = folder
        self.key = key
        self.settings = dict(settings or {})
        self.layers = sorted(layers)
        self.sites = {site: sorted(found) for site, found in (sites or {}).items()}
        self.places = places_of(self.layers, self.sites)
        self.n_rows = n_rows
        self.payload: PayloadFormat = payload
        self.dtype = dtype
        self.rank, self.world_size = rank, world_size
        self.plan: Any = json.loads(json.dumps(plan))
        self.n_batches = n_batches
        self.done: frozenset[int] = frozenset()
        self.finished: SetMetadata | None = None
        self._lock = SetLock(folder)
        self._unfinished: UnfinishedSet | None = None
        self._folder_is_ready = False
        """True once `.partial` is this set's own: emptied for it, or resumed."""
        self._adapters: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self.rank > 0:
            header = self._header_on_disk()
            if header is not None:
                self._adopt(header, complete_batches(read_lines(self.folder), self.places))
            return self
        self._lock.__enter__()
        try:
            self._look_for_earlier_work()
        except BaseException:
            self._lock.__exit__()
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if self._unfinished is not None:
                # Whatever went wrong, batches that wait are still written: they need not be computed again.
                self._unfinished.close(quiet=kind is not None)
        finally:
            self._unfinished = None
            if self.rank == 0:
                self._lock.__exit__()

    def write_batch(
        self,
        number: int,
        row_index: Tensor,
        tensors: Mapping[int, Tensor],
        sites: Mapping[SiteLayer, Tensor] | None = None,
    ) -> None:
        """Queue batch `number` for writing.

        tensors: by layer (m, width) of the set's dtype; sites: the same of other sites, by site and layer. row_index: (m,) int64, the
        row of the set for each of the m rows, in any order. A batch's layers may come in several calls. A layer that an earlier run left complete in this batch
        is not written again. Returns before the data is in the files: do not change the tensors afterwards. Waits while a
        quarter of a gigabyte is queued. Raises NonFiniteError naming layer and row, ShapeError if the batch does not fit,
        and StorageError if the disk has no room for the set or an earlier batch could not be written.
        """
        if not 0 <= number < self.n_batches:
            raise ShapeError(f"batch {number} is not in the plan (batches 0 to {self.n_batches - 1})")
        found = {SiteLayer(RESID_POST, layer): tensor for layer, tensor in tensors.items()}
        found |= {SiteLayer(*place): tensor for place, tensor in (sites or {}).items()}
        unknown = [place for place in found if place not in self.places]
        if unknown:
            there = ", ".join(str(place.layer) for place in self.places if place.site == unknown[0].site) or "none"
            raise ShapeError(f"{unknown[0].words} is not one of the set's ({there})")
        batch = RowBatch.checked(number, row_index, found, n_rows=self.n_rows, dtype=self.dtype)
        self._prepare(batch.width).write(batch)

    def write_layer(self, layer: int, tensor: Tensor) -> None:
        """Write one whole layer, (n_rows, width), in a set of one batch. Raises the errors of write_batch()."""
        if self.n_batches != 1:
            raise ShapeError(f"whole layers are written in a set of one batch; this one has {self.n_batches}")
        expected = (self.n_rows, self._unfinished.header.d if self._unfinished else "features")
        if tensor.dim() != 2 or tensor.shape[0] != self.n_rows or expected[1] not in ("features", tensor.shape[1]):
            raise ShapeError(f"layer {layer} should be ({expected[0]}, {expected[1]}), got {tuple(tensor.shape)}")
        self.write_batch(0, torch.arange(self.n_rows), {layer: tensor})

    def write_adapter(self, layer: int, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> None:
        """Write the LoRA matrices A and B of one block, by module name: a tensor if one module is adapted, else a dict."""
        if self.rank > 0:
            raise ShapeError(f"rank 0 writes the adapter, not rank {self.rank}")
        self._ready_folder()
        for letter, matrices in (("A", a), ("B", b)):
            owned = {name: _owned(matrix) for name, matrix in matrices.items()}
            stream = io.BytesIO()  # given a path, torch.save would put its name into the file
            torch.save(next(iter(owned.values())) if len(owned) == 1 else owned, stream)
            name = adapter_name(letter, layer)
            with atomic_path(self.folder / UNFINISHED_FOLDER / name) as temporary:
                temporary.write_bytes(stream.getbuffer())
            self._adapters[name] = hashlib.sha256(stream.getbuffer()).hexdigest()

    def flush(self) -> None:
        """Wait until every queued batch is in the files. Raises the error of one that could not be written."""
        if self._unfinished is not None:
            self._unfinished.flush(to_disk=self.rank > 0)

    def finish(self, **fields: Any) -> SetMetadata:
        """Complete the files, move them into place, and write metadata.json last.

        fields: the fields of SetMetadata; key, layers, sites, shape, dtype, payload and files are known here and may be left out.
        Raises UnfinishedSetError if a batch of any rank is missing, CorruptSetError if a row is in no batch, ShapeError if
        a row is in two batches, if a field contradicts what was written, or if the set is finished already.
        """
        if self.rank > 0:
            raise ShapeError(f"rank 0 finishes the set, not rank {self.rank}")
        if self._unfinished is None and self.finished is not None:
            raise ShapeError(f"{self.folder} is finished already: there is nothing to write")
        self.flush()
        # Until something is written under this key, `.partial` belongs to another set: its journals count for nothing.
        lines = [] if self._unfinished is None else read_lines(self.folder)
        missing = sorted(set(range(self.n_batches)) - complete_batches(lines, self.places))
        if self._unfinished is None or missing:
            raise UnfinishedSetError(
                f"{self.folder}: {len(missing)} of {self.n_batches} batches are not written (the first is {missing[0]})"
            )
        header = self._unfinished.header
        known = {
            "key": self.key, "settings": self.settings, "layers": self.layers, "shape": [self.n_rows, header.d], "dtype": self.dtype, "payload": self.payload,
            "sites": list(in_order(self.sites)), "site_layers": self.sites,
        }  # fmt: skip
        wrong = [name for name in known if name in fields and fields[name] != known[name]]
        if wrong:
            raise ShapeError(
                f"the set's {wrong[0]} is {known[wrong[0]]!r}, its metadata was to say {fields[wrong[0]]!r}"
            )
        digests = self._unfinished.complete(lines)
        files = {place_name(place, self.payload): digest for place, digest in digests.items()} | self._adapters
        move_into_place(self.folder, files)
        with storage_errors(self.folder):
            sizes = {name: (self.folder / name).stat().st_size for name in files}
        metadata = SetMetadata(**{**fields, **known, "files": files, "file_sizes": sizes})
        metadata.write(self.folder / METADATA_FILE)
        self._unfinished.close(quiet=True)
        self._unfinished = None
        shutil.rmtree(self.folder / UNFINISHED_FOLDER)
        remove_temporaries(self.folder)
        self.finished = metadata
        return metadata

    def _look_for_earlier_work(self) -> None:
        self.finished = finished_set(self.folder, self.key, self.settings)
        if self.finished is not None:
            shutil.rmtree(self.folder / UNFINISHED_FOLDER, ignore_errors=True)  # a crash just before its end left it
            return
        header = self._header_on_disk()
        if header is None:
            return
        self._unfinished = UnfinishedSet.resume(self.folder, header, self.world_size)
        self._folder_is_ready = True
        self._adopt(header, self._unfinished.complete_batches)
        if damaged := self._unfinished.damaged_batches:
            say(f"{self.folder}: {damaged} written batches do not have their checksums and are done again")

    def _adopt(self, header: JournalHeader, done: frozenset[int]) -> None:
        self.plan, self.n_batches = header.plan, header.n_batches
        self.done = done

    def _prepare(self, width: int) -> UnfinishedSet:
        """Make the files for layers of shape (n_rows, width), unless they are there. Ranks above 0 wait for rank 0's files.

        Removes a set of another key that was in the folder.
        """
        if self._unfinished is None:
            if self.rank > 0:
                self._unfinished = UnfinishedSet.join(self.folder, self._wait_for_header(), self.rank, self.world_size)
            else:
                header = self._header(width)
                if not self._folder_is_ready:
                    require_no_folders(self.folder, [place_name(place, self.payload) for place in self.places])
                    require_space(self.folder, header.layout.total_bytes * len(self.places))
                self._ready_folder()
                self._unfinished = UnfinishedSet.create(self.folder, header, self.world_size)
        if width != self._unfinished.header.d:
            raise ShapeError(f"the set has {self._unfinished.header.d} features a row, got {width}")
        return self._unfinished

    def _ready_folder(self) -> None:
        if not self._folder_is_ready:
            clear_for_new_set(self.folder)
            self._folder_is_ready = True

    def _header(self, width: int) -> JournalHeader:
        return JournalHeader(
            key=self.key, settings=self.settings, plan=self.plan, n_batches=self.n_batches, layers=self.layers, sites=self.sites, rows=self.n_rows, d=width,
            dtype=self.dtype, payload=self.payload,
        )  # fmt: skip

    def _header_on_disk(self) -> JournalHeader | None:
        header = read_header(self.folder)
        if header is None:
            return None
        expected = self._header(header.d).model_copy(update={"plan": header.plan, "n_batches": header.n_batches})
        return header if header == expected else None

    def _wait_for_header(self) -> JournalHeader:
        until = time.monotonic() + _WAIT_FOR_FIRST_RANK_S
        while (header := self._header_on_disk()) is None:
            if time.monotonic() > until:
                raise StorageError(
                    f"rank {self.rank}: {journal_path(self.folder)}, which rank 0 makes, did not appear within "
                    f"{_WAIT_FOR_FIRST_RANK_S:.0f} s. All ranks need the same folder, on a file system that they share."
                )
            time.sleep(_LOOK_EVERY_S)
        return header


def _owned(tensor: Tensor) -> Tensor:
    """Make the tensor contiguous, on the CPU, and alone in its storage: torch.save writes the whole storage of a view."""
    tensor = tensor.detach().cpu().contiguous()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()
