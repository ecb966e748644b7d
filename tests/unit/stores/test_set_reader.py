import pytest
import torch

from repdrift.core.errors import CorruptSetError, MissingRunError, UnfinishedSetError, UnknownNameError
from repdrift.stores import RepresentationSetWriter, existing_key, open_set, verify_set
from repdrift.stores.set_reader import finished_set
from tests.resealed import edit_record
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
