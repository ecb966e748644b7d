"""Steps a second of our training beside a plain transformers Trainer, in turn in one process: python -m benchmarks.training.run

Both train MiniLM, full, on the same inputs with the same settings; ours also checks each loss, and writes a history and no state.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import Trainer, TrainingArguments

from benchmarks.training.measured_step import features_of
from repdrift.models import load_task_model, quiet_transformers, resolve_model
from repdrift.training.checkpoints import CheckpointSchedule
from repdrift.training.features import PaddingCollator
from repdrift.training.fit import fit
from repdrift.training.history import History
from repdrift.training.options import TrainingOptions

STEPS, BATCH, LENGTH, REPEATS = 80, 8, 32, 5


def main() -> None:
    """Train in turn, and print the ratio of the medians."""
    features = features_of(STEPS * BATCH, LENGTH, "classification", 30_000)
    base = resolve_model("packaged:minilm")

    def ours(folder: Path) -> None:
        options = TrainingOptions(epochs=1, batch_size=BATCH, learning_rate=1e-5)
        fit(
            load_task_model(base, "classification", num_labels=2),
            features,
            PaddingCollator(0),
            options,
            seed=0,
            work_dir=folder,
            checkpoints=CheckpointSchedule([], lambda _: None),
            label="ours",
            history=History(folder),
        )

    def plain(folder: Path) -> None:
        model = load_task_model(base, "classification", num_labels=2)
        arguments = TrainingArguments(
            output_dir=str(folder), per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=1e-5, weight_decay=0.01,
            save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True, seed=0, warmup_steps=2,
            dataloader_pin_memory=False, use_cpu=not torch.accelerator.is_available(), remove_unused_columns=False,
        )  # fmt: skip
        with quiet_transformers():
            Trainer(model=model, args=arguments, train_dataset=features, data_collator=PaddingCollator(0)).train()  # pyright: ignore[reportArgumentType]

    for function in (ours, plain):
        _seconds(function)  # warms up
    taken = {"ours": [], "plain": []}
    for _ in range(REPEATS):
        taken["ours"].append(_seconds(ours))
        taken["plain"].append(_seconds(plain))
    mine, others = (statistics.median(taken[name]) for name in ("ours", "plain"))
    ratio = statistics.median(b / a for a, b in zip(taken["ours"], taken["plain"], strict=True))
    sys.stdout.write(
        f"ours {STEPS / mine:.2f} steps/s, plain {STEPS / others:.2f} steps/s, ratio of pairs {ratio:.3f} (median of {REPEATS})\n"
    )


def _seconds(train: Callable[[Path], None]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()  # of this process alone, so that others on the machine count less
        train(Path(folder))
        return time.process_time() - began


if __name__ == "__main__":
    main()
