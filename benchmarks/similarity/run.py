"""Cost of similarity beside plain torch and beside other packages: time, peak memory and error, in one run.

    python benchmarks/similarity/run.py                         everything, at 24 layers, 750 samples, 2,048 features
    python benchmarks/similarity/run.py --only pairs --rounds 9
    python benchmarks/similarity/run.py --json results.json

Needs the extra `peers` for the other packages; one that is not installed is left out and named. Within a round every
contender runs once, in an order that is turned round from round to round; ratios are taken within a round, and the median
over rounds is printed with the smallest and largest. Peak memory is of a process of its own, above what the data take.
Errors are against float64 (benchmarks/similarity/layers.py), on layers that drift by 1e-6 to 0.5.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.similarity import contenders
from benchmarks.similarity.layers import FEATURES, LAYERS, exact_cka, layers
from repdrift.similarity.streaming import PairedAccumulator
from repdrift.similarity.uncertainty.resampling import resample_weights

PARTS = ("pairs", "grid", "bootstrap", "tokens")
REPLICATES = 10_000
TOKENS, BATCH = 100_000, 4096
TOKEN_REFERENCE = "three products, float32"  # noqa: S105
REFERENCES = {
    "pairs": "plain torch Gram, float32",
    "grid": "plain torch Gram, float32",
    "bootstrap": "naive loop, float32",
}
TARGETS = {
    "pairs": "repdrift at most 1.1 x plain torch, error at most 1e-6, ahead of every package",
    "grid": "repdrift at most 1.1 x plain torch, error at most 1e-6, ahead of every package",
    "bootstrap": "the naive loop at least 100 x repdrift",
    "tokens": "repdrift at most 1.3 x the three products",
}

Task = tuple[Callable[[], object], float]
"""The call to run, and the factor by which its time is scaled up to the whole."""


def tasks(part: str, base: list[torch.Tensor], tuned: list[torch.Tensor]) -> dict[str, Task]:
    """List the contenders of a part."""
    if part == "pairs":
        return {name: (lambda f=f: f(base, tuned), 1.0) for name, f in contenders.PAIRS.items()}
    if part == "grid":
        return {
            name: (lambda f=f, k=k: f(base[:k], tuned[:k]), (LAYERS / k) ** 2)
            for name, (f, k) in contenders.GRIDS.items()
        }
    if part == "bootstrap":
        weights = resample_weights(base[0].shape[0], REPLICATES, seed=0)
        return {
            name: (
                lambda f=f, k=k, b=b: [f(x, y, weights[:b]) for x, y in zip(base[-k:], tuned[-k:], strict=True)],
                LAYERS / k * REPLICATES / b,
            )
            for name, (f, k, b) in contenders.BOOTSTRAPS.items()
        }
    x, y = token_rows()
    return {
        TOKEN_REFERENCE: (lambda: contenders.plain_moments(x, y, BATCH), 1.0),
        "repdrift": (lambda: streamed_cka(x, y), 1.0),
    }


def token_rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Make 100,000 rows of a base and of a tuned model, with offsets and a drift of a few thousandths."""
    g = torch.Generator().manual_seed(1)
    scale, offset = (1 + torch.arange(FEATURES)) ** -0.5, 20 * torch.randn(FEATURES, generator=g)
    x = torch.randn(TOKENS, FEATURES, generator=g).mul_(scale).add_(offset)
    return x, x + 0.1 * scale * torch.randn(TOKENS, FEATURES, generator=g)


def streamed_cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """Debiased CKA from batches, without keeping rows."""
    accumulator = PairedAccumulator()
    for start in range(0, x.shape[0], BATCH):
        accumulator.update(x[start : start + BATCH], [y[start : start + BATCH]])
    return accumulator.result().cka


def measured(part: str, rounds: int) -> dict[str, object]:
    """Measure times of every contender in every round, ratios to the reference, errors and peaks."""
    base, tuned = layers() if part != "tokens" else ([], [])
    found, left_out = tasks(part, base, tuned), {}
    for name, (run, _) in list(found.items()):  # once to warm up, and to see what is installed
        try:
            run() if name in ("repdrift", *REFERENCES.values()) and part in ("pairs", "grid") else None
            require(name)
        except ImportError as error:
            left_out[name] = str(error)
            del found[name]
    times: dict[str, list[float]] = {name: [] for name in found}
    values: dict[str, object] = {}
    names = list(found)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if number and times[name][0] > 120:  # those that take minutes run once
                times[name].append(times[name][0])
                continue
            run, factor = found[name]
            start = time.perf_counter()
            values[name] = run()
            times[name].append((time.perf_counter() - start) * factor)
            print(f"  round {number + 1}: {name} {times[name][-1]:.3g} s", file=sys.stderr, flush=True)
    reference = REFERENCES.get(part, TOKEN_REFERENCE)
    ratios = {n: [t / r for t, r in zip(times[n], times[reference], strict=True)] for n in names}
    return {
        "part": part,
        "target": TARGETS[part],
        "reference": reference,
        "rows": {
            name: {
                "seconds": statistics.median(times[name]),
                "scaled": found[name][1] != 1.0,
                "ratio": statistics.median(ratios[name]),
                "ratio_range": [min(ratios[name]), max(ratios[name])],
                "peak_mib": peak(part, name),
            }
            | errors(part, name, values[name], base, tuned)
            for name in names
        },
        "left_out": left_out,
    }


def require(name: str) -> None:
    """Raise ImportError if the package of a contender is not installed."""
    package = name.split(maxsplit=1)[0]
    if package in ("ckatorch", "repsim"):
        __import__(package)


def errors(
    part: str, name: str, value: object, base: list[torch.Tensor], tuned: list[torch.Tensor]
) -> dict[str, float]:
    """Compute the largest absolute error of CKA, and the largest relative error of the drift of matching layers."""
    if name in contenders.BIASED or part == "tokens":
        return {}
    if part == "bootstrap":  # against the naive loop in float64, for resamples of the first and last layer that it ran
        k, b = contenders.BOOTSTRAPS[name][1:]
        weights = resample_weights(base[0].shape[0], REPLICATES, seed=0)[: min(b, 20)]
        worst, drifts = 0.0, 0.0
        for at in (-k, -1):
            exact = contenders.naive_bootstrap(base[at].double(), tuned[at].double(), weights)
            got = np.asarray(value[at])[: len(exact)]  # type: ignore[index]
            worst = max(worst, float(np.abs(got - exact).max()))
            drifts = max(drifts, float(np.abs((exact - got) / (1 - exact)).max()))
        return {"error": worst, "drift_error": drifts}
    if part == "pairs":
        got = np.asarray(value)
        exact = np.array([exact_cka(x, y) for x, y in zip(base, tuned, strict=True)])
        return {
            "error": float(np.abs(got - exact).max()),
            "drift_error": float(np.abs((exact - got) / (1 - exact)).max()),
        }
    got = np.asarray(value)
    k = got.shape[0]
    some = [(i, j) for i in range(0, k, max(1, k // 4)) for j in range(0, k, max(1, k // 4))]
    return {"error": max(abs(float(got[i, j]) - exact_cka(base[i], tuned[j])) for i, j in some)}


def peak(part: str, name: str) -> float:
    """Measure the peak of one run in a process of its own, in MiB above the data."""
    command = [sys.executable, __file__, "--peak", part, name]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return float(out.stdout)


def print_peak(part: str, name: str) -> None:
    """Run one contender and print its peak."""
    base, tuned = layers() if part != "tokens" else ([], [])
    run, _ = tasks(part, base, tuned)[name]
    torch.randn(64, 64) @ torch.randn(64, 64)
    require(name)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark from here on
    before = _high_water()
    run()
    print((_high_water() - before) / 1024)


def _high_water() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def show(result: dict[str, object]) -> None:
    """Write a table in Markdown."""
    print(f"\n### {result['part']}\n\nTarget: {result['target']}. Ratios to: {result['reference']}.\n")
    print(
        "| contender | seconds | ratio (smallest to largest) | peak memory, MiB | error of CKA | error of drift, relative |"
    )
    print("|---|---|---|---|---|---|")
    for name, row in result["rows"].items():  # type: ignore[attr-defined]
        low, high = row["ratio_range"]
        cells = [
            f"{row['seconds']:.3g}{' (scaled)' if row['scaled'] else ''}",
            f"{row['ratio']:.3g} ({low:.3g} to {high:.3g})",
            f"{row['peak_mib']:.0f}",
            *(f"{row[key]:.1e}" if not math.isnan(row.get(key, math.nan)) else "" for key in ("error", "drift_error")),
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for name, why in result["left_out"].items():  # type: ignore[attr-defined]
        print(f"\nLeft out: {name}: {why}")
    sys.stdout.flush()


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be given again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", nargs=2, metavar=("PART", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print_peak(*options.peak)
        return
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    results = []
    for part in options.only or PARTS:
        results.append(measured(part, options.rounds if part in ("pairs", "grid") else min(options.rounds, 3)))
        show(results[-1])
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
