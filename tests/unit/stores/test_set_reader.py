import pytest
import torch

from repdrift.core.errors import CorruptSetError, MissingRunError, UnfinishedSetError, UnknownNameError
from repdrift.stores import RepresentationSetWriter, existing_key, open_set, verify_set
from repdrift.stores.set_reader import finished_set
from tests.resealed import edit_record, reseal_set
from tests.unit.stores.small_sets import fields


def small_writer(folder, **changes):
    return RepresentationSetWriter(folder, **{"key": "k1", "layers": [0, 1], "n_rows": 6, **changes})


@pytest.fixture(params=["pt", "safetensors"])
def made(request, tmp_path):
    with small_writer(tmp_path / "set", payload=request.param) as writer:
        for layer in (0, 1):
            writer.write_layer(layer, torch.arange(24.0).reshape(6, 4) + layer)
        writer.write_adapter(0, {"query": torch.ones(2, 4)}, {"query": torch.zeros(4, 2)})
        two = {"query": torch.ones(2, 4), "value": torch.ones(2, 4)}
        writer.write_adapter(1, two, {name: matrix.T for name, matrix in two.items()})
        writer.finish(**fields())
    return tmp_path / "set"


def test_what_is_written_is_read_and_verified(made):
    found = open_set(made)
    assert found.layers == [0, 1]
    assert torch.equal(found.layer(1), torch.arange(24.0).reshape(6, 4) + 1)
    assert verify_set(made) == []
    assert existing_key(made) == "k1"
    assert finished_set(made, "k1") == found.metadata
    assert finished_set(made, "k2") is None
    single = torch.load(made / "adapter_weights/lora_A_layer_0.pt", weights_only=True)
    several = torch.load(made / "adapter_weights/lora_B_layer_1.pt", weights_only=True)
    assert single.shape == (2, 4)
    assert set(several) == {"query", "value"}


def test_set_without_metadata_is_unfinished(made):
    (made / "metadata.json").unlink()
    with pytest.raises(UnfinishedSetError, match="is unfinished.*Run the same extract"):
        open_set(made)
    assert existing_key(made) is None
    with pytest.raises(MissingRunError):
        open_set(made.parent / "nowhere")


def test_truncated_and_missing_layers_are_named_when_the_set_is_opened(made):
    payload = next(made.glob("layer_0.*"))
    payload.write_bytes(payload.read_bytes()[:40])
    with pytest.raises(CorruptSetError, match=r"layer_0\.\w+ has 40 bytes, expected "):
        open_set(made)
    payload.unlink()
    with pytest.raises(CorruptSetError, match=r"layer_0\.\w+ is missing"):
        open_set(made)


def test_metadata_cannot_point_outside_its_folder(made):
    edit_record(made / "metadata.json", lambda content: content["files"].update({"../../etc/passwd": "0" * 64}))
    with pytest.raises(CorruptSetError, match="not a file of a representation set"):
        open_set(made)


def test_pickle_that_would_run_code_is_refused(made, tmp_path):
    import pickle

    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    next(made.glob("layer_0.*")).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CorruptSetError):
        open_set(made).layer(0)
    assert not marker.exists()


def test_unknown_layer_is_refused(made):
    with pytest.raises(UnknownNameError, match="layer 7 not in .*0 to 1"):
        open_set(made).layer(7)


def test_a_flipped_bit_anywhere_in_a_layer_is_noticed(made):
    path = next(made.glob("layer_0.*"))
    whole = path.read_bytes()
    right = open_set(made).layer(0).clone()
    for position in range(0, len(whole), 11):
        data = bytearray(whole)
        data[position] ^= 1 << (position % 8)
        path.write_bytes(data)
        with pytest.raises(CorruptSetError, match=rf"{path.name} was changed after it was written.*Run the same"):
            open_set(made).layer(0)
    path.write_bytes(whole)
    assert torch.equal(open_set(made).layer(0), right)


def test_exchanged_layers_and_a_layer_of_another_set_are_noticed(made, tmp_path):
    first, second = sorted(made.glob("layer_*"))
    with small_writer(tmp_path / "other", payload=open_set(made).metadata.payload) as writer:
        for layer in (0, 1):
            writer.write_layer(layer, torch.randn(6, 4))
        writer.finish(**fields())
    for path, content in (
        (first, second.read_bytes()),
        (second, first.read_bytes()),
        (second, (tmp_path / "other" / second.name).read_bytes()),
    ):
        kept = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(CorruptSetError, match=rf"{path.name} was changed"):
            open_set(made).layer(0 if path == first else 1)
        path.write_bytes(kept)


@pytest.mark.parametrize("made", ["pt"], indirect=True)  # a zip file's trick
def test_a_forged_file_that_says_it_is_larger_is_refused_before_it_is_opened(made):
    import io
    import zipfile

    path = made / "layer_0.pt"
    size = path.stat().st_size
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data/0", bytes(1 << 24))
    path.write_bytes(stream.getvalue())
    reseal_set(made)
    with pytest.raises(CorruptSetError, match=rf"layer_0\.pt has [\d,]+ bytes, expected {size}"):
        open_set(made)
    path.write_bytes(stream.getvalue()[:size].ljust(size, b"x"))
    reseal_set(made)
    with pytest.raises(CorruptSetError, match="does not begin like a file of 6 rows of 4 float32 numbers"):
        open_set(made).layer(0)
