"""Headers of safetensors files that lie are refused before a byte of a weight is read, under every schedule."""

import json

import pytest
from safetensors.torch import save_file
from torch import arange

from repdrift.core.errors import ModelError
from repdrift.models import resolve_model
from repdrift.models.checkpoint import stored_tensors

FIRST = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
SECOND = {"dtype": "F32", "shape": [2, 2], "data_offsets": [16, 32]}


def tensors_of(folder, header, body=bytes(32)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    return stored_tensors(resolve_model(str(folder)))


def test_a_file_that_the_library_wrote_is_read(tmp_path):
    save_file({"b": arange(6.0).reshape(2, 3), "a": arange(3), "c": arange(2.0)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    found = stored_tensors(resolve_model(str(tmp_path)))
    assert {name: tensor.read().flatten().tolist() for name, tensor in found.items()} == {
        "a": [0, 1, 2], "b": [0, 1, 2, 3, 4, 5], "c": [0, 1],
    }  # fmt: skip
    assert set(tensors_of(tmp_path / "own", {"a": FIRST, "b": SECOND})) == {"a", "b"}


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"data_offsets": [-16, 0]}, "its header cannot be read"),
        ({"data_offsets": [0, 16]}, "tensor b begins at byte .*, expected"),
        ({"data_offsets": [8, 24]}, "tensor b begins at byte"),
        ({"data_offsets": [20, 36]}, "truncated"),
        ({"data_offsets": [16.0, 32.0]}, "its header cannot be read"),
        ({"data_offsets": [True, 17]}, "its header cannot be read"),
        ({"data_offsets": [0, 2**62]}, "truncated"),
        ({"data_offsets": [32, 16]}, "-16 bytes, 16 expected"),
        ({"shape": [-2, -2]}, "its header cannot be read"),
        ({"shape": "22"}, "its header cannot be read"),
        ({"shape": [2**40, 2**40]}, "16 bytes, .* expected"),
        ({"dtype": 5}, "its header cannot be read"),
        ({"dtype": "F64"}, "16 bytes, 32 expected"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, second, said):
    with pytest.raises(ModelError, match=said):
        tensors_of(tmp_path / "m", {"a": FIRST, "b": SECOND | second})


def test_bytes_behind_the_last_tensor_and_deep_nesting_are_refused(tmp_path):
    with pytest.raises(ModelError, match="its tensors end at byte .*, and the file at"):
        tensors_of(tmp_path / "longer", {"a": FIRST, "b": SECOND}, bytes(48))
    with pytest.raises(ModelError, match="its header cannot be read"):
        tensors_of(tmp_path / "deep", b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
