import io
import zipfile
import zlib

import pytest
import torch
from safetensors import safe_open

from repdrift.core.errors import ShapeError
from repdrift.stores import zip_container
from repdrift.stores.payload import PayloadLayout

DTYPES = ["float32", "bfloat16", "float16"]


def _written(path, tensor, payload="pt"):
    layout = PayloadLayout(payload, *tensor.shape, str(tensor.dtype).removeprefix("torch."))
    data = tensor.contiguous().view(torch.uint8).numpy().tobytes()
    path.write_bytes(layout.head + data + layout.tail(zlib.crc32(data)))
    assert path.stat().st_size == layout.total_bytes
    assert layout.offset(0) % 64 == 0
    return path


@pytest.mark.parametrize("zip64_from", [zip_container.ZIP64_FROM_BYTES, 100])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pt_file_is_a_valid_archive_that_torch_loads_without_pickle(dtype, zip64_from, tmp_path, monkeypatch):
    monkeypatch.setattr(zip_container, "ZIP64_FROM_BYTES", zip64_from)
    tensor = torch.randn(31, 5).to(getattr(torch, dtype))
    path = _written(tmp_path / "x.pt", tensor)
    for mmap in (True, False):
        loaded = torch.load(path, weights_only=True, mmap=mmap)
        assert torch.equal(loaded, tensor)
        assert loaded.is_contiguous()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_pickle_in_a_pt_file_is_the_one_that_torch_writes(dtype, tmp_path):
    tensor = torch.zeros(300, 70_000 // 300, dtype=getattr(torch, dtype))
    stream = io.BytesIO()
    torch.save(tensor, stream)
    with zipfile.ZipFile(_written(tmp_path / "x.pt", tensor)) as ours, zipfile.ZipFile(stream) as theirs:
        for name in ("data.pkl", "byteorder", "version", "data/0"):
            assert ours.read(f"archive/{name}") == theirs.read(f"archive/{name}")


def test_wrong_crc_is_noticed_by_zip(tmp_path):
    path = _written(tmp_path / "x.pt", torch.ones(31, 5))
    data = bytearray(path.read_bytes())
    data[PayloadLayout("pt", 31, 5, "float32").offset(3)] ^= 1
    path.write_bytes(bytes(data))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() == "archive/data/0"


def test_pt_file_above_four_gibibytes_loads(tmp_path):
    layout = PayloadLayout("pt", 1_500_000, 768, "float32")
    assert layout.total_bytes > 1 << 32
    last = torch.arange(768.0)
    with (tmp_path / "big.pt").open("wb") as stream:  # a hole: it takes a few blocks of the disk
        stream.write(layout.head)
        stream.seek(layout.offset(layout.n_rows - 1))
        stream.write(last.numpy().tobytes())
        stream.write(layout.tail(5))
    loaded = torch.load(tmp_path / "big.pt", weights_only=True, mmap=True)
    assert loaded.shape == (1_500_000, 768)
    assert torch.equal(loaded[-1], last)
    with zipfile.ZipFile(tmp_path / "big.pt") as archive:
        entry = archive.getinfo("archive/data/0")
        assert (entry.file_size, entry.CRC) == (layout.data_bytes, 5)
        assert archive.read("archive/version") == b"3\n"


@pytest.mark.parametrize("dtype", DTYPES)
def test_safetensors_file_is_read_by_its_library(dtype, tmp_path):
    tensor = torch.randn(31, 5).to(getattr(torch, dtype))
    with safe_open(_written(tmp_path / "x.safetensors", tensor, "safetensors"), "pt") as stored:
        assert list(stored.keys()) == ["representation"]
        assert torch.equal(stored.get_tensor("representation"), tensor)


def test_shapes_and_types_that_no_payload_has_are_refused():
    with pytest.raises(ShapeError, match=r"got \(0, 5\)"):
        PayloadLayout("pt", 0, 5, "float32")
    with pytest.raises(ShapeError, match="one of float32, bfloat16, float16, got 'float64'"):
        PayloadLayout("pt", 1, 5, "float64")


@pytest.mark.parametrize("shape", [(2**62, 4), (10**30, 16), (1, 2**60)])
def test_a_shape_that_no_disk_holds_is_refused(shape):
    with pytest.raises(ShapeError, match=r"less than 2\^60 bytes"):
        PayloadLayout("pt", *shape, "float32")
