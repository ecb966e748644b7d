"""Builds small representation sets, equal on every call, written batch by batch."""

import torch

from repdrift.core.records.sites import SiteLayer
from repdrift.stores import RepresentationSetWriter

LAYERS, ROWS, WIDTH = [0, 2, 5], 23, 6
SITES = {"attn_out": [2], "embeddings": [-1]}
BATCHES = [[0, 1, 2, 3], [9, 4, 8, 5], [6, 7], [22, 10, 21, 11, 20], [12, 13, 14, 15], [19, 18, 17, 16]]
PLAN = {"token_budget": 64, "windows": [1, 2]}


def fields(**changes):
    """Every field of SetMetadata that finish() can be given, for a set of two layers of shape (6, 4)."""
    base = {
        "key": "k1", "task": "sst2", "method": "lora", "seed": 1, "step": 0, "model": "m", "weights_digest": "w",
        "sample_set_fingerprint": "f", "sample_ids": [str(i) for i in range(6)], "truncated_samples": 0, "pooling": "mean",
        "dtype": "float32", "compute_dtype": "float32", "layers": [0, 1], "shape": [6, 4], "created": "now", "versions": {},
    }  # fmt: skip
    return {**base, **changes}


def finishing():
    """The fields that the writer does not know by itself; it knows the sites."""
    return {name: value for name, value in fields().items() if name not in ("key", "layers", "shape", "dtype")}


def whole_layer(layer, dtype="float32"):
    """(ROWS, WIDTH) numbers that tell layer, row and column apart."""
    rows = torch.arange(ROWS).unsqueeze(1) * WIDTH + torch.arange(WIDTH)
    return (rows / 7 + layer).to(getattr(torch, dtype))


def batch(number, dtype="float32"):
    """The row index of one batch, and its tensors: of layers, and of other sites."""
    row_index = torch.tensor(BATCHES[number])
    sites = [SiteLayer(site, layer) for site, layers in SITES.items() for layer in layers]
    return (
        row_index,
        {layer: whole_layer(layer, dtype)[row_index] for layer in LAYERS},
        {place: whole_layer(10 + place.layer, dtype)[row_index] for place in sites},
    )


def writer_of(folder, **changes):
    """A writer of the set, not yet entered."""
    options = {"key": "k1", "layers": LAYERS, "sites": SITES, "n_rows": ROWS, "plan": PLAN, "n_batches": len(BATCHES)}
    return RepresentationSetWriter(folder, **{**options, **changes})


def write_all(writer, *, only=None, **changes):
    """Write the batches that are not done and finish, or write only the batches `only`; returns the numbers of the former."""
    numbers = [number for number in range(writer.n_batches) if number not in writer.done]
    for number in numbers if only is None else only:
        writer.write_batch(number, *batch(number, writer.dtype))
    if only is None:
        finish(writer, **changes)
    return numbers


def finish(writer, **changes):
    """Write the adapter and finish a set whose batches are all written."""
    matrices = {"query": torch.ones(2, WIDTH)}
    writer.write_adapter(2, matrices, matrices)
    writer.finish(**{**finishing(), **changes})


def contents(folder):
    """The bytes of every file of a set, by name below the folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def require_equal(a, b):
    """Both folders hold files of the same names and bytes."""
    assert contents(a) == contents(b)
