"""What a study of 7B and of 70B takes: tables for docs/howto/scale.md, from the tool's own accounts, counted operations and assumptions.

Run: python benchmarks/scale/estimates.py [--write]

Memory and saved bytes are the tool's accounts of models without weights; times follow from counted operations, data sheets and an assumed
utilisation. `--write` puts the tables into the page, between its markers.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.scale.shapes import ARMS, SHAPES, Shape, TrainingNeed, training_need
from repdrift.core.atomic import write_text
from repdrift.drift import LayerSize

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "scale.md"


@dataclass(frozen=True)
class Gpu:
    """A GPU by its data sheet. matrix, plain: operations a second at best in bfloat16 tensor cores, dense, and in float32. memory: bytes."""

    name: str
    matrix: float
    plain: float
    memory: float


GPUS = (
    Gpu("H100 SXM 80 GB", 989e12, 67e12, 80e9),
    Gpu("A100 SXM 80 GB", 312e12, 19.5e12, 80e9),
    Gpu("RTX 4090 24 GB", 165e12, 82.6e12, 24e9),
)
MOST_MEMORY = max(gpu.memory for gpu in GPUS)
UTILISATION = (0.5, 0.35, 0.2)
"""Shares of the data sheet's operations: quick, middle, slow."""
ALLOCATOR = 1.2
"""A training fits where its account, times this, is below the GPU's memory: the account leaves out kernels' scratch and what an allocator keeps."""
TASKS, ARM_COUNT, SEEDS, RATES, HELD_OUT = 4, 6, 5, 4, 0.3
ROWS, EPOCHS, TOKENS, SAMPLES, BATCH, LONGEST = 10_000, 3, 128, 750, 16, 256
EXAMPLE_PRICE = 2.0
"""An example of a price of a GPU hour, nobody's offer."""
DISK_RATE = 1e9
"""Bytes a second at which weights are read."""
RUNS = TASKS * ARM_COUNT * SEEDS
CONTROLS = TASKS * ARM_COUNT
TRIALS = TASKS * ARM_COUNT * RATES


def sets_of(shape: Shape, memory: float) -> int:
    """Sets of a study: two of the base model a task, one a run, and a random change for each arm and task where the whole model is in memory."""
    whole = 4 * shape.weights * ALLOCATOR <= memory
    return 2 * TASKS + RUNS + (CONTROLS if whole else 0)


def need(shape: Shape, arm: str) -> TrainingNeed:
    """The need of one training: full fine-tuning by Adafactor, adapters by AdamW."""
    optimizer = "adafactor" if arm == "full_finetune" else "adamw"
    return training_need(shape, next(a for a in ARMS if a.name == arm), optimizer, BATCH, LONGEST)


def training_operations(found: TrainingNeed) -> float:
    """Operations of one training with gradient checkpointing: two a weight and token for each of two forward passes, and one or two backward."""
    return ROWS * EPOCHS * TOKENS * (6 * found.weights + 2 * found.trained)


def training_hours(found: TrainingNeed, gpu: Gpu, share: float) -> float:
    """Hours of one training."""
    return training_operations(found) / (share * gpu.matrix) / 3600


def set_hours(shape: Shape, gpu: Gpu, share: float, *, bfloat16: bool) -> float:
    """Hours of extracting one set: weights are read once, in two bytes each, and every sample passes all blocks."""
    peak = gpu.matrix if bfloat16 else gpu.plain
    passing = 2 * shape.layers * shape.block_weights * SAMPLES * TOKENS / (share * peak)
    return (passing + 2 * shape.weights / DISK_RATE) / 3600


def set_bytes(shape: Shape, rows: int = SAMPLES, each: int = 4) -> int:
    """Bytes of the layers of one set."""
    return rows * shape.width * shape.layers * each


def layer_major_bytes(shape: Shape) -> int:
    """Memory of the layer-major schedule in float32: embeddings, one block, and the states of all samples at one layer."""
    embeddings = shape.vocabulary * shape.width
    return 4 * (embeddings + shape.block_weights + SAMPLES * TOKENS * shape.width)


def analysis_hours(shape: Shape) -> float:
    """Hours of the analysis on two CPU cores, about: 167 s for 8 sets a task of 24 layers of 2,048 numbers (benchmarks/analysis), times each ratio."""
    ratio = sets_of(shape, MOST_MEMORY) / TASKS / 8 * shape.layers / 24 * shape.width / 2048
    return 167 * ratio / 3600


def study_training_hours(arms: dict[str, int], shape: Shape, gpu: Gpu, share: float) -> float:
    """Hours of all trainings and trials, each of which reads the weights once. arms: how many of the six arms cost as much as each of these."""
    per_arm = TASKS * (SEEDS + RATES * (1 - HELD_OUT))
    reading = ARM_COUNT * TASKS * (SEEDS + RATES) * 2 * shape.weights / DISK_RATE / 3600
    return reading + sum(count * per_arm * training_hours(need(shape, arm), gpu, share) for arm, count in arms.items())


MIXES = {
    "7B": {"full_finetune": 1, "lora_r8": 5},
    "7B, adapters on a 4-bit base": {"qlora_r8": 6},
    "70B, adapters on a 4-bit base": {"qlora_r8": 6},
}


def tables() -> dict[str, str]:
    """The page's tables by the names of their markers."""
    return {"memory": _memory(), "time": _time(), "sets": _sets(), "disk": _disk(), "money": money(EXAMPLE_PRICE)}


def _memory() -> str:
    lines = [
        "| model | arm | weights | gradients | optimiser | all else at the peak | peak | fits on |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shape in SHAPES:
        for arm in ARMS:
            found = need(shape, arm.name)
            m = found.memory
            parts = " | ".join(_gb(n) for n in (m.weights, m.gradients, m.optimizer, m.passing, m.peak))
            fits = [gpu.name for gpu in GPUS if m.peak * ALLOCATOR <= gpu.memory]
            lines.append(f"| {shape.name} | {arm.name} | {parts} | {', '.join(fits) or 'none of these'} |")
    return "\n".join(lines)


def _time() -> str:
    lines = [
        "| study | GPU | one training, minutes | all trainings and trials, GPU hours | extraction in float32 | in bfloat16 | in all, with float32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for words, arms in MIXES.items():
        shape = _shape(words)
        for gpu in GPUS:
            if not _fits(shape, arms, gpu):
                lines.append(f"| {words} | {gpu.name} | does not fit | | | | |")
                continue
            one = [60 * max(training_hours(need(shape, arm), gpu, share) for arm in arms) for share in UTILISATION]
            training = [study_training_hours(arms, shape, gpu, share) for share in UTILISATION]
            plain = [sets_of(shape, gpu.memory) * set_hours(shape, gpu, share, bfloat16=False) for share in UTILISATION]
            quick = [sets_of(shape, gpu.memory) * set_hours(shape, gpu, share, bfloat16=True) for share in UTILISATION]
            both = [_hours(shape, arms, gpu, share) for share in UTILISATION]
            lines.append(
                f"| {words} | {gpu.name} | {' | '.join(_range(x) for x in (one, training, plain, quick, both))} |"
            )
    return "\n".join(lines)


def money(price: float) -> str:
    """Money for each study and GPU, by the middle utilisation, at a price of a GPU hour in any currency."""
    lines = [f"| study | GPU | GPU hours | at {price:.2f} an hour |", "|---|---|---|---|"]
    for words, arms in MIXES.items():
        shape = _shape(words)
        for gpu in GPUS:
            if _fits(shape, arms, gpu):
                hours = _hours(shape, arms, gpu, UTILISATION[1])
                lines.append(f"| {words} | {gpu.name} | {_number(hours)} | {_number(hours * price)} |")
    return "\n".join(lines)


def _shape(words: str) -> Shape:
    return next(shape for shape in SHAPES if shape.name == words.split(",", maxsplit=1)[0])


def _fits(shape: Shape, arms: dict[str, int], gpu: Gpu) -> bool:
    return max(need(shape, arm).memory.peak for arm in arms) * ALLOCATOR <= gpu.memory


def _hours(shape: Shape, arms: dict[str, int], gpu: Gpu, share: float) -> float:
    sets = sets_of(shape, gpu.memory) * set_hours(shape, gpu, share, bfloat16=False)
    return study_training_hours(arms, shape, gpu, share) + sets


def _sets() -> str:
    lines = [
        "| model | one set, pooled | in bfloat16 | a row for each token | memory, layer-major | memory, whole model | least memory of the analysis | time of the analysis, about |",
        "|---|---|---|---|---|---|---|---|",
    ]
    measures = ("cka", "cosine_centered")
    for shape in SHAPES:
        layer = LayerSize(sets_of(shape, MOST_MEMORY) // TASKS, SAMPLES, shape.width, 10_000).needed_bytes(measures)
        cells = (
            set_bytes(shape),
            set_bytes(shape, each=2),
            set_bytes(shape, SAMPLES * TOKENS),
            layer_major_bytes(shape),
            4 * shape.weights,
            layer,
        )
        lines.append(f"| {shape.name} | {' | '.join(map(_gb, cells))} | {_number(analysis_hours(shape))} h |")
    return "\n".join(lines)


def _disk() -> str:
    lines = ["| study | sets | trained models | both | with 7 checkpoints a run |", "|---|---|---|---|---|"]
    for words, arms in MIXES.items():
        shape = _shape(words)
        sets = sets_of(shape, MOST_MEMORY) * set_bytes(shape)
        models = sum(count * TASKS * SEEDS * need(shape, arm).saved for arm, count in arms.items())
        more = 7 * (RUNS * set_bytes(shape) + models)
        lines.append(f"| {words} | {_gb(sets)} | {_gb(models)} | {_gb(sets + models)} | {_gb(sets + models + more)} |")
    return "\n".join(lines)


def _gb(count: float) -> str:
    gigabytes = count / 1e9
    return (
        f"{gigabytes:,.0f} GB"
        if gigabytes >= 100
        else f"{gigabytes:.1f} GB"
        if gigabytes >= 1
        else f"{gigabytes:.2f} GB"
    )


def _range(quick_middle_slow: list[float]) -> str:
    quick, middle, slow = (_number(x) for x in quick_middle_slow)
    return f"{middle} ({quick} to {slow})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def placed(text: str, found: dict[str, str]) -> str:
    """The page with the tables between their markers. Raises ValueError if a marker is missing."""
    for name, table in found.items():
        between = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
        if not between.search(text):
            raise ValueError(f"no markers for {name} in the page")
        text = between.sub(lambda m, table=table: f"{m[1]}{table}\n{m[2]}", text)
    return text


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/howto/scale.md")
    parser.add_argument("--price", type=float, help="of a GPU hour: print the money for each study and GPU instead")
    options = parser.parse_args()
    if options.price is not None:
        print(money(options.price))
    elif options.write:
        write_text(PAGE, placed(PAGE.read_text(encoding="utf-8"), tables()))
    else:
        print("\n\n".join(f"{name}\n{table}" for name, table in tables().items()))


if __name__ == "__main__":
    main()
