"""Peak memory and processor time of training on texts with short answers: logits of the learnt tokens, or of all: python -m benchmarks.training.needed_logits [STEPS]

SmolLM2-135M (a vocabulary of 49,152), LoRA, batches of 8 texts of 180 to 256 tokens of which the last 3 to 8 are learnt, mixed bfloat16, one
thread, each way in a process of its own.
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
from repdrift.models import load_task_model, resolve_model
from repdrift.training import resumable_trainer
from repdrift.training.arms import Arm, prepared
from repdrift.training.checkpoints import CheckpointSchedule
from repdrift.training.features import NO_LABEL, Feature, PaddingCollator
from repdrift.training.fit import fit
from repdrift.training.options import TrainingOptions
from repdrift.training.peak_memory import peak_memory_bytes

KIND, BATCH, LENGTHS, LEARNT = "causal_lm", 8, (180, 256), (3, 8)
WAYS = ("of learnt tokens", "of all tokens")


def main(steps: int) -> None:
    """Train each way in a new process, and print what it took."""
    lines = [
        json.loads(subprocess.check_output([sys.executable, "-m", __spec__.name, str(steps), way])) for way in WAYS
    ]
    for way, line in zip(WAYS, lines, strict=True):
        sys.stdout.write(
            f"logits {way}: peak {line['peak_mb']:,.0f} MB, of it {line['loaded_mb']:,.0f} MB before training; {line['cpu_s']:.1f} s; "
            f"loss {line['loss']:.5f}\n"
        )
    less, more = lines
    sys.stdout.write(f"processor time: {less['cpu_s'] / more['cpu_s']:.3f}; ")
    sys.stdout.write(
        f"memory in training: {(less['peak_mb'] - less['loaded_mb']) / (more['peak_mb'] - more['loaded_mb']):.3f}\n"
    )


def one(steps: int, way: str) -> None:
    """Train one way, and print one JSON line."""
    torch.set_num_threads(1)
    if way == WAYS[1]:
        resumable_trainer.gives_needed_logits = lambda *_: False
    model = prepared(load_task_model(resolve_model("packaged:smollm2-135m"), KIND), Arm.of_kind("lora"), KIND).model
    loaded, began = peak_memory_bytes(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            model, _texts(steps), PaddingCollator(0), TrainingOptions(epochs=1, batch_size=BATCH, learning_rate=1e-4, precision="bfloat16"),
            seed=0, work_dir=Path(folder), checkpoints=CheckpointSchedule([], lambda _: None), label=way,
        )  # fmt: skip
    took = {"peak_mb": peak_memory_bytes() / 1e6, "loaded_mb": loaded / 1e6, "cpu_s": time.process_time() - began}
    sys.stdout.write(json.dumps({**took, "loss": result.train_loss}) + "\n")


def _texts(steps: int) -> list[Feature]:
    generator = torch.Generator().manual_seed(0)
    texts: list[Feature] = []
    for _ in range(steps * BATCH):
        length, learnt = (int(torch.randint(low, high + 1, (), generator=generator)) for low, high in (LENGTHS, LEARNT))
        ids = features_of(1, length, KIND, 49_152)[0]["input_ids"]
        texts.append({"input_ids": ids, "labels": [NO_LABEL] * (length - learnt) + ids[-learnt:]})
    return texts


if __name__ == "__main__":
    given = sys.argv[1:]
    (one if len(given) > 1 else main)(int(given[0]) if given else 10, *given[1:])
