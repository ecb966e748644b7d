"""Tensors come back as they were put in, from memory and from the temporary file."""

import pytest
import torch

from repdrift.core.errors import StorageError
from repdrift.extraction.activation_store import ActivationStore


@pytest.mark.parametrize("cap_bytes", [0, 100, 10_000])
def test_last_tensor_of_each_slot_is_kept_under_any_cap(cap_bytes):
    g = torch.Generator().manual_seed(0)
    kept = {}
    with ActivationStore(cap_bytes) as store:
        for shape, dtype in (((3, 4), torch.float32), ((5, 4), torch.bfloat16), ((2,), torch.float64)):
            for slot in ("a", "b", "c"):
                kept[slot] = torch.randn(shape, generator=g).to(dtype)
                store.put(slot, kept[slot])
                assert store.memory_bytes <= cap_bytes
                for name, tensor in kept.items():
                    assert torch.equal(store.get(name), tensor)
        store.get("a").zero_()
        assert torch.equal(store.get("a"), kept["a"])
        assert (store.file_bytes > 0) == (cap_bytes < 10_000)


def test_folder_that_cannot_be_written_is_named_with_the_variable_that_sets_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with ActivationStore(0) as store, pytest.raises(StorageError, match=r"gone.*TMPDIR"):
        store.put("a", torch.zeros(3))
