"""Measures a whole small study in one process, by this version and by an earlier one in turn.

Run: python benchmarks/jobs/whole_study.py --against DIR [--pairs 3]

The study is that of the wheel's check: a tiny model with random weights, 2 tasks, 2 methods, 3 seeds, 12 trainings. DIR is the `src` of the earlier version. CPU
seconds of the whole command with one thread; each pair is run in the other order than the one before.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.wheel.smoke_study import STUDY, write_tasks
from tests.tiny_models import save_bert

_SOURCE = Path(__file__).resolve().parents[2] / "src"


def main() -> None:
    """Run the pairs, and print each ratio now : earlier and their median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args()
    sources = [("earlier", given.against.resolve()), ("now", _SOURCE)]
    ratios: list[float] = []
    for pair in range(given.pairs):
        took = {name: _cpu_seconds(source) for name, source in sources[:: 1 if pair % 2 == 0 else -1]}
        ratios.append(took["now"] / took["earlier"])
        print(f"earlier {took['earlier']:.1f} s, now {took['now']:.1f} s, ratio {ratios[-1]:.3f}", flush=True)
    print(f"now : earlier {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def _cpu_seconds(source: Path) -> float:
    """Runs the study by one version, in a folder of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save_bert(folder / "model")
        write_tasks(folder / "data")
        (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
        before = _of_children()
        environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "repdrift", "run", "study.yaml"]
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
        return _of_children() - before


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
