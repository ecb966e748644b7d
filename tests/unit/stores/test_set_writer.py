import errno
import os
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from repdrift.core.errors import CorruptSetError, NonFiniteError, ShapeError, StorageError
from repdrift.stores import open_set, verify_set
from tests.unit.stores.small_sets import (
    BATCHES,
    LAYERS,
    batch,
    contents,
    finish,
    finishing,
    whole_layer,
    write_all,
    writer_of,
)


@pytest.fixture(params=["float32", "bfloat16", "float16"])
def dtype(request):
    return request.param


def test_rows_come_to_their_places_in_every_format(tmp_path, dtype):
    for payload in ("pt", "safetensors"):
        folder = tmp_path / payload
        with writer_of(folder, dtype=dtype, payload=payload) as writer:
            write_all(writer)
        assert all(torch.equal(open_set(folder).layer(layer), whole_layer(layer, dtype)) for layer in LAYERS)
        assert verify_set(folder) == []
        assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []
    for layer in LAYERS:
        path = tmp_path / f"pt/layer_{layer}.pt"
        loaded = torch.load(path, weights_only=True, mmap=True)
        assert loaded.dtype == getattr(torch, dtype)
        assert loaded.data_ptr() % 64 == 0
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
        stored = load_file(tmp_path / f"safetensors/layer_{layer}.safetensors")
        assert torch.equal(stored["representation"], loaded)


def test_files_do_not_depend_on_folder_or_order(tmp_path):
    with writer_of(tmp_path / "a") as writer:
        write_all(writer)
    with writer_of(tmp_path / "elsewhere" / "b") as writer:
        for number in reversed(range(len(BATCHES))):
            rows, tensors, sites = batch(number)
            shuffled = torch.randperm(len(rows), generator=torch.Generator().manual_seed(number))
            layers, others = ({name: t[shuffled] for name, t in found.items()} for found in (tensors, sites))
            writer.write_batch(number, rows[shuffled], layers, others)
        write_all(writer, only=[])
        finish(writer)
    assert contents(tmp_path / "a") == contents(tmp_path / "elsewhere" / "b")


def test_whole_layers_give_the_same_files(tmp_path):
    with writer_of(tmp_path / "a") as writer:
        write_all(writer)
    with writer_of(tmp_path / "b", n_batches=1, sites={}) as writer:
        for layer in LAYERS:
            writer.write_layer(layer, whole_layer(layer).clone())
        writer.finish(**finishing())
    assert all(contents(tmp_path / "b")[f"layer_{n}.pt"] == contents(tmp_path / "a")[f"layer_{n}.pt"] for n in LAYERS)


def test_digest_thread_follows_large_layers(tmp_path, monkeypatch):
    monkeypatch.setattr("repdrift.stores.digests._CHUNK_BYTES", 64)
    with writer_of(tmp_path) as writer:
        write_all(writer)
    assert verify_set(tmp_path) == []
    with zipfile.ZipFile(tmp_path / "layer_0.pt") as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_value_that_is_not_finite_is_named_by_layer_and_row(tmp_path, dtype, value):
    rows, tensors, _ = batch(3, dtype)
    tensors[2][2, 1] = value
    with writer_of(tmp_path, dtype=dtype) as writer, pytest.raises(NonFiniteError, match=f"layer 2, row {rows[2]}: "):
        writer.write_batch(3, rows, tensors)
    assert not (tmp_path / ".partial").exists()


def test_largest_finite_values_are_taken(tmp_path, dtype):
    largest = torch.finfo(getattr(torch, dtype)).max
    with writer_of(tmp_path, dtype=dtype, layers=[0], sites={}, n_rows=2, n_batches=1) as writer:
        writer.write_layer(0, torch.full((2, 40), largest, dtype=getattr(torch, dtype)))


@pytest.mark.parametrize(
    ("rows", "changed", "message"),
    [
        ([0, 1, 2, 2], {}, "batch 0: row 2 is there twice"),
        ([0, 1, 2, 23], {}, r"row 23 is not in the set \(rows 0 to 22\)"),
        ([-1, 1, 2, 3], {}, "row -1 is not in the set"),
        ([0, 1, 2], {}, r"layer 0: expected \(3, 6\), got \(4, 6\)"),
        ([0, 1, 2, 3], {2: torch.ones(4, 5)}, r"layer 2: expected \(4, 6\), got \(4, 5\)"),
        ([0, 1, 2, 3], {5: torch.ones(4, 6).double()}, "layer 5: expected float32 on cpu, got float64"),
        ([0, 1, 2, 3], {7: torch.ones(4, 6)}, r"layer 7 is not one of the set's \(0, 2, 5\)"),
        ([0.0, 1.0, 2.0, 3.0], {}, r"row index should be \(m,\) int64"),
    ],
)
def test_batch_that_does_not_fit_is_refused(tmp_path, rows, changed, message):
    with writer_of(tmp_path) as writer, pytest.raises(ShapeError, match=message):
        writer.write_batch(0, torch.tensor(rows), batch(0)[1] | changed)


def test_plans_that_do_not_fit_are_refused(tmp_path):
    with writer_of(tmp_path) as writer:
        writer.write_batch(0, *batch(0))
        with pytest.raises(ShapeError, match="batch 0, attn_out of layer 2 is written already"):
            writer.write_batch(0, *batch(0))
        with pytest.raises(ShapeError, match=r"batch 6 is not in the plan \(batches 0 to 5\)"):
            writer.write_batch(6, *batch(1))
        with pytest.raises(ShapeError, match="6 features a row, got 8"):
            writer.write_batch(1, torch.tensor(BATCHES[1]), {0: torch.ones(4, 8)})
        with pytest.raises(ShapeError, match="in a set of one batch; this one has 6"):
            writer.write_layer(0, whole_layer(0))
    with writer_of(tmp_path / "one", n_batches=1) as writer:
        writer.write_layer(0, whole_layer(0))
        with pytest.raises(ShapeError, match=r"layer 2 should be \(23, 6\), got \(23, 5\)"):
            writer.write_layer(2, torch.ones(23, 5))
    with pytest.raises(ShapeError, match="rank 2 of 2"):
        writer_of(tmp_path, rank=2, world_size=2)


def test_rows_in_no_batch_or_in_two_are_noticed(tmp_path):
    with (
        writer_of(tmp_path / "gap", n_batches=5) as writer,
        pytest.raises(CorruptSetError, match="row 16 of 23 was in no"),
    ):
        for number in range(5):
            writer.write_batch(number, *batch(number))
        writer.finish(**finishing())
    with pytest.raises(ShapeError, match="row 0 is written twice"), writer_of(tmp_path / "twice") as writer:
        writer.write_batch(0, *batch(0))
        writer.write_batch(1, *batch(0))
        writer.flush()
    with writer_of(tmp_path / "twice") as writer:  # it does not stand in the way of a better plan
        assert writer.done <= {0}


def test_metadata_that_contradicts_the_files_is_refused_and_nothing_is_lost(tmp_path):
    with writer_of(tmp_path) as writer:
        with pytest.raises(ShapeError, match="the set's shape is .23, 6., its metadata was to say .23, 7."):
            write_all(writer, shape=[23, 7])
        assert writer.finish(**finishing()).shape == [23, 6]


def _full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_is_found_before_anything_is_lost(tmp_path, monkeypatch):
    with writer_of(tmp_path, key="old") as writer:
        write_all(writer)
    with monkeypatch.context() as patch, writer_of(tmp_path) as writer:
        patch.setattr("repdrift.stores.set_folder.free_bytes", lambda _: 1000 - 5 * 4096 - 2 * 4096)
        patch.setattr("repdrift.stores.set_folder.space_taken", lambda _: 4096)
        with pytest.raises(StorageError, match=r"take [56],\d{3} bytes \(0.00 GB\) in .*; the disk leaves 1,000 "):
            writer.write_batch(0, *batch(0))
    assert verify_set(tmp_path) == []
    with monkeypatch.context() as patch, writer_of(tmp_path) as writer:  # free space is only an estimate
        patch.setattr(os, "posix_fallocate", _full)
        with pytest.raises(StorageError, match=r"take [56],\d{3} bytes .*; the disk leaves [\d,]+ .*Free some space"):
            writer.write_batch(0, *batch(0))
    assert list((tmp_path / ".partial").iterdir()) == []
    with writer_of(tmp_path) as writer:
        write_all(writer)
    assert verify_set(tmp_path) == []


def test_disk_that_fills_while_writing_keeps_what_is_there(tmp_path, monkeypatch):
    with writer_of(tmp_path / "reference") as writer:
        write_all(writer)
    room, pwrite = [12], os.pwrite

    def fills(*args):
        room[0] -= 1
        return pwrite(*args) if room[0] >= 0 else _full()

    folder = tmp_path / "set"
    with (
        monkeypatch.context() as patch,
        pytest.raises(StorageError, match="no space left while writing .*layer_.*are kept"),
    ):
        patch.setattr(os, "pwrite", fills)
        with writer_of(folder) as writer:
            write_all(writer)
    with writer_of(folder) as writer:
        assert 0 < len(writer.done) < len(BATCHES)
        write_all(writer)
    assert contents(folder) == contents(tmp_path / "reference")


def test_file_system_that_cannot_reserve_is_written_all_the_same(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    with writer_of(tmp_path) as writer:
        write_all(writer)
    assert verify_set(tmp_path) == []


def test_error_of_the_background_surfaces_when_nothing_else_is_called(tmp_path, monkeypatch):
    monkeypatch.setattr("repdrift.stores.layer_files.zlib.crc32", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), writer_of(tmp_path) as writer:
        writer.write_batch(0, *batch(0))


def test_folder_that_may_not_be_written_is_an_error_of_storage(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"), writer_of(tmp_path / "file" / "set"):
        pass


def test_plan_is_json_at_once(tmp_path):
    assert writer_of(tmp_path, plan={"groups": (1, 2)}).plan == {"groups": [1, 2]}
    assert np.asarray(whole_layer(0)).shape == (23, 6)
