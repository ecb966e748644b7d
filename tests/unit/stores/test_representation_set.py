import json

import pytest
import torch

from repdrift.core.errors import (
    CorruptSetError,
    MissingRunError,
    NonFiniteError,
    ShapeError,
    UnfinishedSetError,
    UnknownNameError,
)
from repdrift.stores.representation_set import RepresentationSetWriter, existing_key, find_sets, open_set, verify_set


def fields(**changes):
    base = {
        "key": "k1", "task": "sst2", "method": "lora", "seed": 1, "step": 0, "model": "m", "weights_digest": "w",
        "sample_set_fingerprint": "f", "sample_ids": [str(i) for i in range(6)], "truncated_samples": 0, "pooling": "mean",
        "dtype": "float32", "compute_dtype": "float32", "layers": [0, 1], "shape": [6, 4], "created": "now", "versions": {},
    }  # fmt: skip
    return {**base, **changes}


@pytest.fixture(params=["pt", "safetensors"])
def made(request, tmp_path):
    writer = RepresentationSetWriter(tmp_path / "set", payload=request.param)
    for layer in (0, 1):
        writer.write_layer(layer, torch.arange(24.0).reshape(6, 4) + layer)
    writer.write_adapter(0, {"query": torch.ones(2, 4)}, {"query": torch.zeros(4, 2)})
    writer.write_adapter(
        1,
        {"query": torch.ones(2, 4), "value": torch.ones(2, 4)},
        {"query": torch.ones(4, 2), "value": torch.ones(4, 2)},
    )
    writer.finish(**fields())
    return tmp_path / "set"


def test_what_is_written_is_read_and_verified(made):
    found = open_set(made)
    assert found.layers == [0, 1]
    assert torch.equal(found.layer(1), torch.arange(24.0).reshape(6, 4) + 1)
    assert verify_set(made) == []
    assert existing_key(made) == "k1"
    single = torch.load(made / "adapter_weights/lora_A_layer_0.pt", weights_only=True)
    several = torch.load(made / "adapter_weights/lora_B_layer_1.pt", weights_only=True)
    assert single.shape == (2, 4)
    assert set(several) == {"query", "value"}


def test_pt_payload_loads_memory_mapped_and_without_pickle(tmp_path):
    writer = RepresentationSetWriter(tmp_path)
    big = torch.randn(100, 4)
    writer.write_layer(0, big[:6])  # a view: its storage holds more than it shows
    assert torch.equal(torch.load(tmp_path / "layer_0.pt", weights_only=True, mmap=True), big[:6])
    assert (tmp_path / "layer_0.pt").stat().st_size < 1900


def test_set_without_metadata_is_unfinished(made):
    (made / "metadata.json").unlink()
    with pytest.raises(UnfinishedSetError, match="is unfinished.*Run the same extract"):
        open_set(made)
    assert existing_key(made) is None
    assert "unfinished" in str(verify_set(made)[0])
    with pytest.raises(MissingRunError):
        open_set(made.parent / "nowhere")


def test_flipped_byte_missing_layer_and_stray_file_are_found(made):
    payload = next(made.glob("layer_0.*"))
    data = bytearray(payload.read_bytes())
    data[-5] ^= 1
    payload.write_bytes(bytes(data))
    (made / "notes.txt").write_text("x")
    problems = [str(fault) for fault in verify_set(made)]
    assert any("layer_0" in p and "changed or truncated" in p for p in problems)
    assert any("notes.txt" in p and "not part of the set" in p for p in problems)
    assert existing_key(made) is None
    next(made.glob("layer_1.*")).unlink()
    with pytest.raises(CorruptSetError, match=r"layer_1\.\w+ is missing"):
        open_set(made)


def test_truncated_layer_is_named_when_it_is_read(made):
    payload = next(made.glob("layer_0.*"))
    payload.write_bytes(payload.read_bytes()[:40])
    with pytest.raises(CorruptSetError, match=r"layer_0\.\w+ cannot be read"):
        open_set(made).layer(0)


def test_starting_to_replace_a_set_makes_it_unfinished_at_once(made):
    RepresentationSetWriter(made)
    with pytest.raises(UnfinishedSetError):
        open_set(made)
    assert not list(made.glob("layer_*"))


def test_metadata_cannot_point_outside_its_folder(made):
    content = json.loads((made / "metadata.json").read_text())
    content["files"]["../../etc/passwd"] = "0" * 64
    (made / "metadata.json").write_text(json.dumps(content))
    with pytest.raises(CorruptSetError, match="not a file of a representation set"):
        open_set(made)


def test_pickle_that_would_run_code_is_refused(tmp_path):
    import pickle

    writer = RepresentationSetWriter(tmp_path)
    for layer in (0, 1):
        writer.write_layer(layer, torch.zeros(6, 4) + torch.arange(4))
    writer.finish(**fields())
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    (tmp_path / "layer_0.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CorruptSetError):
        open_set(tmp_path).layer(0)
    assert not marker.exists()


def test_bad_tensors_and_unknown_layers_are_refused(tmp_path, made):
    writer = RepresentationSetWriter(tmp_path / "other")
    bad = torch.ones(6, 4)
    bad[3, 1] = float("inf")
    with pytest.raises(NonFiniteError, match="layer 0, row 3"):
        writer.write_layer(0, bad)
    writer.write_layer(0, torch.ones(6, 4))
    with pytest.raises(ShapeError, match=r"layer 1 is \(6, 5\), the layers before are \(6, 4\)"):
        writer.write_layer(1, torch.ones(6, 5))
    with pytest.raises(UnknownNameError, match="layer 7 not in .*0 to 1"):
        open_set(made).layer(7)


def test_sets_are_found_finished_or_not(made, tmp_path):
    RepresentationSetWriter(tmp_path / "deep" / "er").write_layer(0, torch.ones(6, 4))
    assert list(find_sets(tmp_path)) == [tmp_path / "deep" / "er", made]
