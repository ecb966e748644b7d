"""Trains a few steps in a process of its own, and prints its peak memory beside the account of it, as one JSON line.

python -m benchmarks.training.measured_step MODEL KIND ARM BATCH LENGTH [key=value ...]; the keys are options of training. An arm is a kind
of tuning; qlora is lora on a 4-bit base, which needs bitsandbytes.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch

from repdrift.models import load_config, load_task_model, resolve_model, task_skeleton
from repdrift.training.arms import Arm, prepared
from repdrift.training.checkpoints import CheckpointSchedule
from repdrift.training.features import PaddingCollator
from repdrift.training.fit import fit
from repdrift.training.memory_accounting import account
from repdrift.training.options import TrainingOptions

STEPS = 4


def resident_bytes() -> int:
    """The memory that the process has now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def features_of(count: int, length: int, kind: str, vocabulary: int) -> list[dict[str, Any]]:
    """Inputs of `length` random tokens, with targets for the kind of task."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, vocabulary - 1000, (count, length), generator=generator).tolist()
    if kind == "classification":
        return [{"input_ids": row, "labels": i % 2} for i, row in enumerate(ids)]
    if kind == "causal_lm":
        return [{"input_ids": row, "labels": row} for row in ids]
    return [{"input_ids": row, "start_positions": 1, "end_positions": 2} for row in ids]


def main(model_name: str, kind: str, arm_name: str, batch: int, length: int, given: dict[str, Any]) -> None:
    """Account, train and print."""
    options = TrainingOptions.model_validate({"epochs": 1, "batch_size": batch, "learning_rate": 1e-5, **given})
    base = resolve_model(model_name)
    arm = Arm.of_kind("lora", base_bits=4) if arm_name == "qlora" else Arm.of_kind(arm_name)
    config = load_config(base)
    labels = 2 if kind == "classification" else None
    skeleton = task_skeleton(config, kind, num_labels=labels)
    if skeleton is None:
        raise SystemExit(f"{model_name} cannot be built without weights")
    counted = account(prepared(skeleton, arm, kind).model, kind, options, batch=batch, length=length)
    del skeleton
    torch.manual_seed(0)
    _warm_up()
    before = resident_bytes()
    tuned = prepared(load_task_model(base, kind, num_labels=labels), arm, kind)
    loaded = resident_bytes() - before
    features = features_of(STEPS * batch, length, kind, config.vocab_size)
    peak = _Peak()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, peak:
        fit(
            tuned.model,
            features,
            PaddingCollator(0),
            options,
            seed=0,
            work_dir=Path(folder),
            checkpoints=CheckpointSchedule([], lambda _: None),
            label="measured",
        )
    took = time.perf_counter() - began
    measured = peak.bytes - before
    shown = {
        "model": model_name, "kind": kind, "arm": arm_name, "batch": batch, "length": length, **given,
        "measured_mb": round(measured / 1e6, 1), "counted_mb": round(counted.peak / 1e6, 1) if counted else None,
        "ratio": round(counted.peak / measured, 3) if counted else None,
        "parts_mb": {name: round(value / 1e6, 1) for name, value in vars(counted).items()} if counted else None,
        "loaded_mb": round(loaded / 1e6, 1),
        "steps_per_s": round(STEPS / took, 3),
    }  # fmt: skip
    sys.stdout.write(json.dumps(shown) + "\n")


def _warm_up() -> None:
    """Load what a first step loads: libraries of kernels, threads, the trainer. It is no part of the training's memory."""
    import peft

    peft.get_peft_model(tiny := torch.nn.Sequential(torch.nn.Linear(64, 64)), peft.LoraConfig(target_modules=["0"]))
    del tiny
    weight = torch.randn(64, 64, requires_grad=True)
    torch.nn.functional.scaled_dot_product_attention(
        weight[None, None], weight[None, None], weight[None, None]
    ).sum().backward()
    torch.optim.AdamW([weight], fused=True).step()


class _Peak(threading.Thread):
    """Looks at the resident memory every millisecond: the system's own peak would hold that of loading, too."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.001):
            self.bytes = max(self.bytes, resident_bytes())

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()


if __name__ == "__main__":
    words = sys.argv[1:]
    pairs = dict(word.split("=", 1) for word in words[5:])
    main(
        words[0],
        words[1],
        words[2],
        int(words[3]),
        int(words[4]),
        {k: json.loads(v) if v in ("true", "false") else v for k, v in pairs.items()},
    )
