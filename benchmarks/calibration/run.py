"""Checks that tests keep their level and intervals cover, on simulated studies with a known truth.

    python benchmarks/calibration/run.py                    everything; most of an hour on two busy cores
    python benchmarks/calibration/run.py --quick            fewer studies: under two minutes, and a coarser answer
    python benchmarks/calibration/run.py --only models      one level: models, samples, both, groups, logs
    python benchmarks/calibration/run.py --out docs/explanation/calibration.md

Prints a Markdown table; with --out it also takes the place of all that follows the marker in that file. Exit code 1 if a
cell fails its target by more than two Monte Carlo standard errors, three times: what fails is simulated again, from other
seeds and four times as often, and once more; the last answer is the one that counts and that is printed. Of a few
hundred cells some are beyond two standard errors by chance.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.calibration import both_cells, grouped_cells, log_cells, model_cells, sample_cells, tables
from benchmarks.calibration.cells import Cell

LEVELS = {
    "models": model_cells,
    "samples": sample_cells,
    "both": both_cells,
    "groups": grouped_cells,
    "logs": log_cells,
}
SIMULATIONS = {"models": 4000, "samples": 600, "both": 600, "groups": 600, "logs": 4000}
QUICK = 0.01
"""The share of the studies that a quick run simulates."""
LEAST = 20
AGAIN, ROUNDS = 4, 2
MARKER = "<!-- what follows is written by benchmarks/calibration/run.py --out -->"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One plan, given by its index in the list of its level, and the number of its simulations."""

    level: str
    number: int
    simulations: int
    seed: int

    def run(self) -> list[Cell]:
        """Simulate the plan and return its cells."""
        torch.set_num_threads(1)
        module = LEVELS[self.level]
        return module.simulate(module.plans()[self.number], self.simulations, (1 + ROUNDS) * self.number + self.seed)


def simulated(jobs: Sequence[Job], workers: int) -> list[list[Cell]]:
    """Returns the cells of every job, in order."""
    if not jobs:
        return []
    for variable in THREADS:  # one thread to a process, as many processes as cores; read when a worker starts
        os.environ.setdefault(variable, "1")
    found: list[list[Cell]] = []
    started = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, cells in enumerate(pool.map(Job.run, jobs), start=1):
            found.append(cells)
            if number % 20 == 0 or number == len(jobs):
                print(f"{number} of {len(jobs)} plans, {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return found


def checked(levels: Sequence[str], simulations: dict[str, int], workers: int) -> list[Cell]:
    """Returns all cells. A failed cell is simulated again, at most two times in all, and the last result counts."""
    jobs = [Job(level, k, simulations[level], 0) for level in levels for k in range(len(LEVELS[level].plans()))]
    found = simulated(jobs, workers)
    for attempt in range(1, ROUNDS + 1):
        doubtful = [k for k, cells in enumerate(found) if any(c.verdict == "FAILED" for c in cells)]
        again = [replace(jobs[k], simulations=AGAIN * jobs[k].simulations, seed=attempt) for k in doubtful]
        for k, cells in zip(doubtful, simulated(again, workers), strict=True):
            found[k] = [new if old.verdict == "FAILED" else old for old, new in zip(found[k], cells, strict=True)]
    return [cell for cells in found for cell in cells]


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print and write; returns 1 if a cell fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"a share of {QUICK:g} of the studies")
    parser.add_argument("--share", type=float, default=1.0, help="another share of the studies")
    parser.add_argument("--only", choices=list(LEVELS), help="one level")
    parser.add_argument("--out", type=Path, help="write the table here too, after the marker")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    given = parser.parse_args(arguments)
    levels = [given.only] if given.only else list(LEVELS)
    share = QUICK if given.quick else given.share
    simulations = {level: max(LEAST, round(share * count)) for level, count in SIMULATIONS.items()}
    started = time.perf_counter()
    cells = checked(levels, simulations, given.workers or 1)
    command = " ".join(["python", "benchmarks/calibration/run.py", *(sys.argv[1:] if arguments is None else arguments)])
    studies = ", ".join(f"{simulations[level]:,} of {level}" for level in levels)
    text = "\n".join(
        [
            f"`{command}`: {time.perf_counter() - started:.0f} s with {given.workers} processes; simulated studies a cell: "
            f"{studies} ({AGAIN} times as many where that failed). Python {platform.python_version()}, numpy "
            f"{np.__version__}, scipy {scipy.__version__}, torch {torch.__version__}.",
            "",
            tables.counts(cells),
            "",
            tables.markdown(cells),
        ]
    )
    print(text)
    if given.out:
        before = given.out.read_text(encoding="utf-8") if given.out.exists() else ""
        kept = before.split(MARKER)[0] + MARKER + "\n\n" if MARKER in before else ""
        given.out.write_text(kept + text, encoding="utf-8")
    return int(any(cell.verdict == "FAILED" for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
