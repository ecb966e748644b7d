"""Measures the time and the memory that the analysis of a whole study takes.

Run: python benchmarks/analysis/run.py [--quick] [--folder DIR]

4 tasks x 2 methods x 3 seeds x 24 layers, 750 samples, 2,048 features, 4 measures, 10,000 resamples (--quick: a
twentieth of it). The analysis runs in a process of its own. Beside its seconds stands the time of the Gram products that
no analysis in Gram form can do without, in plain float32, on the same machine right after it. The checksums of all layers,
which the analysis checks as it reads them, are computed once more by themselves.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.analysis.synthetic_study import METHODS, Size, write_study


def main() -> None:
    """Build the study, analyse it in a process of its own, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small study, to see that it runs")
    parser.add_argument(
        "--folder", type=Path, help="where the sets are written and kept (6 GB); else a temporary folder"
    )
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = Size(tasks=2, layers=6, samples=400, features=512, replicates=2000) if options.quick else Size()
    if options.child:
        _analyse(options.child, size)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        print(f"writing {size.n_bytes / 1e9:.1f} GB of representation sets to {folder}", flush=True)
        write_study(folder, size)
        arguments = [sys.executable, __file__, "--child", str(folder)]
        subprocess.run(arguments + (["--quick"] if options.quick else []), check=True)
        _grams(size)


def _analyse(folder: Path, size: Size) -> None:
    from repdrift.core.fingerprint import file_sha256
    from repdrift.drift import analyze

    plan = write_study(folder, size)
    clock = time.perf_counter()
    results, table = analyze(plan, folder / "analysis")
    seconds = time.perf_counter() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(
        f"analysis: {seconds:.1f} s, peak memory {peak:.2f} GB, {len(table)} rows, {len(results.tests)} tests, "
        f"{torch.get_num_threads()} threads, {os.cpu_count()} cores"
    )
    layers = sorted(folder.rglob("layer_*.*"))
    clock = time.perf_counter()
    for path in layers:
        file_sha256(path)
    checking = time.perf_counter() - clock
    print(f"of it the checksums of {len(layers)} layers: {checking:.1f} s ({checking / seconds:.1%}), read once more")


def _grams(size: Size) -> None:
    x = torch.randn(size.samples, size.features)
    sets = size.tasks * (2 + len(METHODS) * size.seeds) * size.layers
    torch.mm(x, x.T)
    clock = time.perf_counter()
    for _ in range(20):
        torch.mm(x, x.T)
    print(f"Gram products alone, float32: {(time.perf_counter() - clock) / 20 * sets:.1f} s for {sets} layers")


if __name__ == "__main__":
    main()
