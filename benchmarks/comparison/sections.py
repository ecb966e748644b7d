"""What each section on what moved adds to `repdrift compare`: processor time of one process, sections in turn, in one run.

    python -m benchmarks.comparison.sections --data-dir path/to/tasks                            MiniLM, 750 sentences of SST-2
    python -m benchmarks.comparison.sections --data-dir path/to/tasks --model packaged:smollm2-135m --samples 150 --tuned 1

Every round measures the comparison without sections and with each of them, in an order that is turned from round to round. Printed are medians of the
seconds, and of the ratio to the comparison without sections of the same round. The target: all sections that are on by default together add less
than half.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from benchmarks.comparison.run import save_pair, sentences

WITHOUT = "none"
BY_DEFAULT = "samples,directions,grid"
CONTENDERS = (WITHOUT, "samples", "directions", "grid", BY_DEFAULT, "weights", "likeness", "sites", "all")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="packaged:minilm")
    parser.add_argument("--samples", type=int, default=750)
    parser.add_argument("--tuned", type=int, default=2, choices=(1, 2), help="tuned models; likeness needs two")
    parser.add_argument("--data-dir", required=True, help="folder with sst2/validation.parquet")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    contenders = [name for name in CONTENDERS if args.tuned > 1 or name != "likeness"]
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, tuned = save_pair(args.model, folder)
        models = [tuned]
        if args.tuned > 1:
            models.append(base.with_name("another"))
            shutil.copytree(tuned, models[1])
        texts = folder / "texts.txt"
        texts.write_text("".join(line + "\n" for line in sentences(args.data_dir, args.samples)), encoding="utf-8")
        for turn in range(args.rounds):
            for contender in contenders[turn:] + contenders[:turn]:
                seconds[contender].append(processor_seconds(base, models, texts, contender))
    print(f"{'--with':<26} {'seconds':>8}  beside none")
    for contender, found in seconds.items():
        ratios = [one / other for one, other in zip(found, seconds[WITHOUT], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{contender:<26} {statistics.median(found):>8.1f}  {spread}")


def processor_seconds(base: Path, tuned: list[Path], texts: Path, sections: str) -> float:
    """User and system time of one comparison on one thread, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "repdrift",
        "compare",
        str(base),
        *map(str, tuned),
        "--data",
        str(texts),
        "--with",
        sections,
    ]
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main()
