"""Measures how the looks at a study's finished runs grow with their number: `status`, one job's question, and which jobs are done.

Run: python benchmarks/jobs/run.py [--against DIR] [--tries 3]

Synthetic studies of 60 and 240 finished runs: records as real ones have them (11 kB; 7 checkpoints, tuned rates), on a local disk; CPU seconds, the
least of the tries. --against: the `src` of an earlier version, which is asked in turn, and the ratios earlier : now are told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tiny_models import save_bert

from benchmarks.jobs.finished_runs import study_of, write_study

_ROOT = Path(__file__).resolve().parents[2]
ARMS = (3, 12)
"""Of 4 tasks and 5 seeds each: 60 and 240 runs."""
WORDS = {
    "status": "repdrift status",
    "decision": "one question for a finished run",
    "all_jobs": "which jobs are done",
}


def main() -> None:
    """Write the studies, ask both versions in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--tries", type=int, default=3)
    given = parser.parse_args()
    sources = {"now": _ROOT / "src"} | ({"earlier": given.against.resolve()} if given.against is not None else {})
    for arms in ARMS:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_study(study_of(folder, save_bert(folder / "bert"), arms))
            tries = [
                {name: _asked(source, folder, arms) for name, source in sources.items()} for _ in range(given.tries)
            ]
        for what, words in WORDS.items():
            least = {name: min(each[name][what] for each in tries) for name in sources}
            ratio = f", earlier : now {least['earlier'] / least['now']:.1f}" if "earlier" in least else ""
            told = ", ".join(f"{name} {1000 * seconds:.1f} ms" for name, seconds in least.items())
            print(f"{tries[0]['now']['runs']} runs, {words}: {told}{ratio}")


def _asked(source: Path, folder: Path, arms: int) -> dict[str, float]:
    """Returns what one version takes, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("looks.py")), str(folder), str(arms)]
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
