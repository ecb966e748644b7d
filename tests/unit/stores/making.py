"""Sets made in tests: small, the same on every call, written batch by batch."""

import numpy as np
import torch

from repdrift.stores.representation_set import RepresentationSetWriter

LAYERS, ROWS, WIDTH = [0, 2, 5], 23, 6
BATCHES = [[0, 1, 2, 3], [9, 4, 8, 5], [6, 7], [22, 10, 21, 11, 20], [12, 13, 14, 15], [19, 18, 17, 16]]
PLAN = {"token_budget": 64, "windows": [1, 2]}


def fields(**changes):
    """Every field of SetMetadata that a writer is told when it finishes: of a set of two layers, (6, 4)."""
    base = {
        "key": "k1", "task": "sst2", "method": "lora", "seed": 1, "step": 0, "model": "m", "weights_digest": "w",
        "sample_set_fingerprint": "f", "sample_ids": [str(i) for i in range(6)], "truncated_samples": 0, "pooling": "mean",
        "dtype": "float32", "compute_dtype": "float32", "layers": [0, 1], "shape": [6, 4], "created": "now", "versions": {},
    }  # fmt: skip
    return {**base, **changes}


def finishing():
    """The fields that the writer does not know by itself."""
    return {name: value for name, value in fields().items() if name not in ("key", "layers", "shape", "dtype")}


def whole_layer(layer, dtype="float32"):
    """(ROWS, WIDTH) numbers that tell layer, row and column apart."""
    rows = torch.arange(ROWS).unsqueeze(1) * WIDTH + torch.arange(WIDTH)
    return (rows / 7 + layer).to(getattr(torch, dtype))


def batch(number, dtype="float32"):
    """Rows and tensors of one batch."""
    rows = torch.tensor(BATCHES[number])
    return rows, {layer: whole_layer(layer, dtype)[rows] for layer in LAYERS}


def writer_of(folder, **changes):
    """A writer of the set, not yet entered."""
    options = {"key": "k1", "layers": LAYERS, "rows": ROWS, "plan": PLAN, "n_batches": len(BATCHES)}
    return RepresentationSetWriter(folder, **{**options, **changes})


def write_all(writer, *, only=None, **changes):
    """Write what is not done and finish, in an entered writer; returns the numbers of the batches written."""
    numbers = [number for number in range(writer.n_batches) if number not in writer.done]
    for number in numbers if only is None else only:
        writer.write_batch(number, *batch(number, writer.dtype))
    if only is None:
        matrices = {"query": torch.ones(2, WIDTH)}
        writer.write_adapter(2, matrices, matrices)
        writer.finish(**{**finishing(), **changes})
    return numbers


def contents(folder):
    """Every file of a set but the lock, by name below the folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def rows_of(folder, layer):
    """One layer of a finished set, as float64."""
    return np.asarray(torch.load(folder / f"layer_{layer}.pt", weights_only=True, mmap=True).double())
