"""Peak memory and processor time of training on texts of many lengths, with and without giving freed memory back: python -m benchmarks.training.kept_memory [STEPS]

MiniLM, question answering, batches of 16 texts of 100 to 256 tokens, mixed bfloat16, one thread, each way in a process of its own. The account is of
the longest batch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.training.measured_step import features_of
from repdrift.models import load_config, load_task_model, resolve_model, task_skeleton
from repdrift.training import resumable_trainer
from repdrift.training.arms import Arm, prepared
from repdrift.training.checkpoints import CheckpointSchedule
from repdrift.training.features import PaddingCollator
from repdrift.training.fit import fit
from repdrift.training.memory_accounting import account
from repdrift.training.options import TrainingOptions
from repdrift.training.peak_memory import peak_memory_bytes

KIND, BATCH, SHORTEST, LONGEST = "extractive_qa", 16, 100, 256
WAYS = {"given back": None, "kept": sys.maxsize}
"""The batches after which freed memory goes back; None: as the package does it."""


def main(steps: int) -> None:
    """Train each way in a new process, and print what it took beside the account."""
    skeleton = task_skeleton(load_config(resolve_model("packaged:minilm")), KIND)
    if skeleton is None:
        raise SystemExit("the model cannot be built without weights")
    options = _options()
    counted = account(
        prepared(skeleton, Arm.of_kind("full_finetune"), KIND).model, KIND, options, batch=BATCH, length=LONGEST
    )
    lines = [
        json.loads(subprocess.check_output([sys.executable, "-m", __spec__.name, str(steps), way])) for way in WAYS
    ]
    sys.stdout.write(f"counted: {counted.peak / 1e6:,.0f} MB\n" if counted else "not counted\n")
    for way, line in zip(WAYS, lines, strict=True):
        sys.stdout.write(
            f"{way}: peak {line['peak_mb']:,.0f} MB, of it {line['loaded_mb']:,.0f} MB before training; {line['cpu_s']:.1f} s\n"
        )
    sys.stdout.write(f"processor time, given back / kept: {lines[0]['cpu_s'] / lines[1]['cpu_s']:.3f}\n")


def one(steps: int, way: str) -> None:
    """Train one way, and print one JSON line."""
    torch.set_num_threads(1)
    if WAYS[way] is not None:
        resumable_trainer._STEPS_OF_KEEPING = WAYS[way]
    lengths = torch.randint(SHORTEST, LONGEST + 1, (steps,), generator=torch.Generator().manual_seed(0)).tolist()
    features = [
        features_of(1, length, KIND, 30_000)[0]
        for length in lengths
        for _ in range(BATCH)
    ]  # fmt: skip
    model = load_task_model(resolve_model("packaged:minilm"), KIND)
    loaded, began = peak_memory_bytes(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        fit(
            model, features, PaddingCollator(0), _options(), seed=0, work_dir=Path(folder),
            checkpoints=CheckpointSchedule([], lambda _: None), label=way,
        )  # fmt: skip
    took = {"peak_mb": peak_memory_bytes() / 1e6, "loaded_mb": loaded / 1e6, "cpu_s": time.process_time() - began}
    sys.stdout.write(json.dumps(took) + "\n")


def _options() -> TrainingOptions:
    return TrainingOptions(
        epochs=1, batch_size=BATCH, learning_rate=1e-5, precision="bfloat16", max_length=LONGEST, group_by_length=True
    )


if __name__ == "__main__":
    given = sys.argv[1:]
    (one if len(given) > 1 else main)(int(given[0]) if given else 200, *given[1:])
