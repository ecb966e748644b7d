"""Measures how fast a set is written, in relation to a plain sequential write and fsync of as many bytes.

    python benchmarks/extraction/write_throughput.py --gigabytes 3 --folder /some/disk

Both are timed in turn in one run, from the first byte to the last one on the disk; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from repdrift.stores import RepresentationSetWriter

LAYERS, WIDTH, ROWS_PER_BATCH = 6, 768, 4096
"""A batch of 4,096 tokens of a model as large as BERT: 12.6 MB for each layer."""


def measure(bytes_total: int, folder: Path, *, repeats: int = 3, width: int = WIDTH) -> dict[str, Any]:
    """Write a float32 `tokens` set of 6 layers, about `bytes_total` bytes, into `folder`, and as many bytes plainly.

    Returns {bytes, plain_gb_per_s, writer_gb_per_s, ratio (plain over writer seconds, of the medians), plain_s, writer_s
    (of each repeat), writer_before_finish_s}. The files are deleted again.
    """
    batches = max(1, bytes_total // (LAYERS * ROWS_PER_BATCH * width * 4))
    tensors = {layer: torch.randn(ROWS_PER_BATCH, width) for layer in range(LAYERS)}
    total = batches * LAYERS * ROWS_PER_BATCH * width * 4
    plain, writer, before = [], [], []
    for repeat in range(repeats):
        for kind in ("plain", "writer") if repeat % 2 == 0 else ("writer", "plain"):
            scratch = Path(tempfile.mkdtemp(dir=folder, prefix="write-throughput-"))
            try:
                os.sync()
                if kind == "plain":
                    plain.append(_plain_seconds(scratch, tensors, batches))
                else:
                    seconds, at_finish = _writer_seconds(scratch, tensors, batches)
                    writer.append(seconds)
                    before.append(at_finish)
            finally:
                shutil.rmtree(scratch)
    plain_s, writer_s = statistics.median(plain), statistics.median(writer)
    return {
        "bytes": total,
        "plain_gb_per_s": total / plain_s / 1e9,
        "writer_gb_per_s": total / writer_s / 1e9,
        "ratio": plain_s / writer_s,
        "plain_s": plain,
        "writer_s": writer,
        "writer_before_finish_s": before,
    }


def _plain_seconds(folder: Path, tensors: dict[int, torch.Tensor], batches: int) -> float:
    clock = time.perf_counter()
    for layer, tensor in tensors.items():
        data = tensor.numpy().data
        with (folder / f"plain_{layer}").open("wb", buffering=0) as stream:
            for _ in range(batches):
                stream.write(data)
            os.fsync(stream.fileno())
    return time.perf_counter() - clock


def _writer_seconds(folder: Path, tensors: dict[int, torch.Tensor], batches: int) -> tuple[float, float]:
    rows = batches * ROWS_PER_BATCH
    clock = time.perf_counter()
    with RepresentationSetWriter(folder, key="k", layers=list(tensors), n_rows=rows, n_batches=batches) as writer:
        for number in range(batches):
            start = number * ROWS_PER_BATCH
            writer.write_batch(number, torch.arange(start, start + ROWS_PER_BATCH), tensors)
        before = time.perf_counter() - clock
        writer.finish(
            task="benchmark", method="base", seed=None, step=0, model="none", weights_digest="none", sample_set_fingerprint="none",
            sample_ids=[], truncated_samples=0, pooling="tokens", compute_dtype="float32", created="now", versions={},
        )  # fmt: skip
    return time.perf_counter() - clock, before


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    result = measure(int(options.gigabytes * 1e9), options.folder, repeats=options.repeats)
    print(json.dumps(result, indent=2))
    print(
        f"plain {result['plain_gb_per_s']:.2f} GB/s, writer {result['writer_gb_per_s']:.2f} GB/s, ratio {result['ratio']:.2f}"
    )


if __name__ == "__main__":
    main()
