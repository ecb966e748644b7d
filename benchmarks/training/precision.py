"""Processor time of a training step in float32, in mixed bfloat16, and in that with PyTorch's own products, in turn in one process.

python -m benchmarks.training.precision [STEPS]: MiniLM, full fine-tuning, 16 texts of 24 tokens, one thread. Where the processor has instructions for
bfloat16, the last two are the same.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.training.measured_step import features_of
from repdrift.models import load_task_model, resolve_model
from repdrift.training import bfloat16_products
from repdrift.training.checkpoints import CheckpointSchedule
from repdrift.training.features import PaddingCollator
from repdrift.training.fit import fit
from repdrift.training.options import Precision, TrainingOptions, quick_precision
from repdrift.training.processor import processor_words

BATCH, LENGTH, REPEATS = 16, 24, 3
WAYS: dict[str, Precision] = {"float32": "float32", "bfloat16": "bfloat16", "bfloat16 of PyTorch": "bfloat16"}


def main(steps: int) -> None:
    """Train in turn, and print the ratio of the medians."""
    torch.set_num_threads(1)
    features = features_of(steps * BATCH, LENGTH, "classification", 30_000)
    base = resolve_model("packaged:minilm")

    def seconds(way: str) -> float:
        quick = WAYS[way] if way.endswith("PyTorch") else quick_precision()
        model = load_task_model(base, "classification", num_labels=2)
        options = TrainingOptions(epochs=1, batch_size=BATCH, learning_rate=1e-5, precision=WAYS[way])
        with tempfile.TemporaryDirectory() as folder, patch.object(bfloat16_products, "quick_precision", lambda: quick):
            began = time.process_time()
            fit(
                model, features, PaddingCollator(0), options, seed=0, work_dir=Path(folder),
                checkpoints=CheckpointSchedule([], lambda _: None), label=way,
            )  # fmt: skip
            return (time.process_time() - began) / steps

    for way in WAYS:
        seconds(way)  # warms up
    taken = {way: [seconds(way) for _ in range(REPEATS)] for way in WAYS}
    medians = {way: statistics.median(found) for way, found in taken.items()}
    sys.stdout.write(f"{processor_words(torch.device('cpu'))}; `precision: auto` takes {quick_precision()}\n")
    sys.stdout.write("; ".join(f"{way}: {median:.3f} s a step" for way, median in medians.items()) + "\n")
    for way in list(WAYS)[1:]:
        sys.stdout.write(f"{way} / float32: {medians[way] / medians['float32']:.2f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
