"""What `repdrift.DriftCallback` costs beside the training that it looks at: processes in turn, in one run.

    python benchmarks/drift_callback/run.py                      MiniLM from its package, 128 samples, every 10 of 40 steps
    python benchmarks/drift_callback/run.py --samples 64 --every 20

Every round trains the same model with and without the callback, each in a process of its own, in an order that is turned from round to round.
Seconds are those of `Trainer.train`. Printed are the medians, the ratio within a round, the cost of one measurement in training steps, and
the ratio of the peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

STEPS, BATCH, LENGTH = 40, 16, 64


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="packaged:minilm")
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contender", choices=["with", "without"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        print(json.dumps(trained(args, with_callback=args.contender == "with")))
        return
    rounds = [one_round(number) for number in range(args.rounds)]
    plain = statistics.median(each["without"]["seconds"] for each in rounds)
    seconds = [each["with"]["seconds"] / each["without"]["seconds"] for each in rounds]
    memory = [each["with"]["bytes"] / each["without"]["bytes"] for each in rounds]
    measurements = STEPS // args.every + 1  # and one of the base model
    extra = statistics.median(each["with"]["seconds"] - each["without"]["seconds"] for each in rounds)
    print(
        f"{args.model}, {STEPS} steps of {BATCH} x {LENGTH} tokens, {args.samples} samples, {measurements} passes, {args.rounds} rounds"
    )
    print(f"seconds without: {plain:.1f}; ratio with / without: {shown(seconds)}")
    print(f"one measurement: {extra / measurements:.2f} s, {extra / measurements / (plain / STEPS):.2f} training steps")
    print(f"peak memory, ratio with / without: {shown(memory)}")


def one_round(number: int) -> dict[str, dict[str, float]]:
    """Seconds and peak bytes of both contenders, by name."""
    order = ("without", "with") if number % 2 == 0 else ("with", "without")
    found: dict[str, dict[str, float]] = {}
    for contender in order:
        command = [sys.executable, __file__, *sys.argv[1:], "--contender", contender]
        found[contender] = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
    return found


def trained(args: argparse.Namespace, *, with_callback: bool) -> dict[str, float]:
    """Seconds of one training, and the peak memory of the process in bytes."""
    import torch
    from transformers import Trainer, TrainingArguments

    import repdrift
    from repdrift.models import load_task_model, resolve_model

    torch.manual_seed(0)
    model = load_task_model(resolve_model(args.model), "classification", num_labels=2)
    vocabulary = int(model.config.vocab_size)

    def ids(rows: int) -> Any:
        return torch.randint(1000, min(vocabulary, 20_000), (rows, LENGTH))

    rows = [{"input_ids": row, "labels": number % 2} for number, row in enumerate(ids(STEPS * BATCH))]
    samples = ids(args.samples)
    callbacks: Any = [repdrift.DriftCallback(None, {"input_ids": samples}, every=args.every)] if with_callback else []
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=STEPS, per_device_train_batch_size=BATCH, report_to=[], save_strategy="no", disable_tqdm=True,
            dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(model=model, args=arguments, train_dataset=rows, callbacks=callbacks)  # pyright: ignore[reportArgumentType]
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def shown(values: list[float]) -> str:
    """The median, with the smallest and the largest in brackets."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
