"""How often a gate fails by chance: simulated models whose true drift lies at the limit, above it and below it.

    python benchmarks/gate/error_rate.py [--studies 2000] [--samples 50 200] [--layers 24]
    python benchmarks/gate/error_rate.py --groups 20 40      # one layer, samples in groups of 4 that are alike (intraclass correlation 0.3)

Rows of a layer are drawn from a known law, so that the true drift (1 - CKA of the population's covariances) is what it is set to be. Layers move
together: their noise has a correlation of 0.9. Each study is judged by the gate itself, as `repdrift compare --fail-above` does.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq

from repdrift.comparison.gate import Gate, judge
from repdrift.comparison.row_measures import RowMeasures
from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.similarity import measure

LIMIT = 0.3
WIDTH = 24
TOGETHER = 0.9
GROUP, ALIKE = 4, 0.3
SPECTRUM = 1.0 / np.arange(1, WIDTH + 1)
TAILS = {"normal": math.inf, "t tails, 5 degrees of freedom": 5.0}
GATES = {
    "1 layer": Gate(LIMIT, layers=(0,)),
    "6 layers": Gate(LIMIT, layers=tuple(range(6))),
    "24 layers": Gate(LIMIT, layers=tuple(range(24))),
    "mean of 24": Gate(LIMIT, layers=tuple(range(24)), by_layer=False, mean=True),
}


def noise_for(drift: float) -> float:
    """The variance of white noise that makes the true drift: CKA is |Cxy|^2 / (|Cxx| |Cyy|) of the covariances."""

    def excess(variance: float) -> float:
        own = np.linalg.norm(SPECTRUM)
        return 1 - own / np.linalg.norm(SPECTRUM + variance) - drift

    return float(brentq(excess, 0.0, 100.0))


def study(generator: np.random.Generator, n: int, layers: int, variance: float, tail: float) -> list[LayerDrift]:
    """One study: the drift of every layer with its interval."""
    cka = measure("cka")
    scale = np.ones((n, 1)) if math.isinf(tail) else np.sqrt(tail / generator.chisquare(tail, size=(n, 1)))
    common, found = generator.normal(size=(2, n, WIDTH)), []
    for number in range(layers):
        own: NDArray[np.float64] = generator.normal(size=(2, n, WIDTH))
        drawn = math.sqrt(TOGETHER) * common + math.sqrt(1 - TOGETHER) * own
        base = scale * np.sqrt(SPECTRUM) * drawn[0]
        tuned = base + scale * math.sqrt(variance) * drawn[1]
        left, right = cka.prepare(base), cka.prepare(tuned)
        value, ends = cka.compare(left, right), cka.interval(left, right)
        known = {} if ends is None else {"drift_low": 1 - ends.high, "drift_high": 1 - ends.low, "freedom": n - 1.0}
        found.append(LayerDrift(layer=number, rows=n, drift=1 - value, values={"cka": value}, **known))
    return found


def grouped_study(generator: np.random.Generator, n_groups: int, variance: float) -> list[LayerDrift]:
    """One study of one layer whose samples come in groups, measured as `repdrift compare --group-column` does."""
    drawn = math.sqrt(ALIKE) * np.repeat(generator.normal(size=(2, n_groups, WIDTH)), GROUP, axis=1)
    drawn = drawn + math.sqrt(1 - ALIKE) * generator.normal(size=drawn.shape)
    base = np.sqrt(SPECTRUM) * drawn[0]
    groups = [str(number // GROUP) for number in range(n_groups * GROUP)]
    measures = RowMeasures({0: torch.tensor(base)}, ("cka",), groups=groups)
    return measures.measure("tuned", {0: torch.tensor(base + math.sqrt(variance) * drawn[1])})


def comparison(layers: list[LayerDrift], n: int) -> Comparison:
    """A comparison of one model with these layers, as the gate reads it."""
    model = ComparedModel(name="tuned", ref="tuned", kind="full model", status="compared", layers=layers)
    return Comparison(
        created="", versions={}, base="base", base_revision=None, base_digest="", data="", task="", samples=n, tokens=n, truncated_samples=0,
        sample_set_fingerprint="", pooling="mean", compute_dtype="float32", accumulated="rows", base_layers=[], models=[model], between=[],
        warnings=[], wall_time_s=0.0,
    )  # fmt: skip


def grouped(numbers: list[int], studies: int, seed: int) -> None:
    """Print one row for each number of groups."""
    print("| groups of 4 | true drift | fails |\n|---|---|---|")
    for n_groups in numbers:
        generator = np.random.default_rng([seed, n_groups])
        failed = 0
        for _ in range(studies):
            layers = grouped_study(generator, n_groups, noise_for(LIMIT))
            result = comparison(layers, GROUP * n_groups).model_copy(update={"sample_groups": n_groups})
            failed += judge(result, GATES["1 layer"]).verdict == "failed"
        print(f"| {n_groups} | {LIMIT:g} | {100 * failed / studies:.1f} % |", flush=True)


def main() -> None:
    """Print one row for each law and number of samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--samples", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--drifts", type=float, nargs="+", default=[LIMIT])
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", type=int, nargs="+", default=[])
    chosen = parser.parse_args()
    if chosen.groups:
        grouped(chosen.groups, chosen.studies, chosen.seed)
        return
    gates = {name: gate for name, gate in GATES.items() if max(gate.layers or ()) < chosen.layers}
    print("| law | samples | true drift |", " | ".join(gates), "|\n|---|---|---|" + "---|" * len(gates))
    for tail, freedom in TAILS.items():
        for n in chosen.samples:
            for drift in chosen.drifts:
                generator = np.random.default_rng([chosen.seed, n, round(1e6 * drift), freedom < math.inf])
                failed = dict.fromkeys(gates, 0)
                for _ in range(chosen.studies):
                    result = comparison(study(generator, n, chosen.layers, noise_for(drift), freedom), n)
                    for name, gate in gates.items():
                        failed[name] += judge(result, gate).verdict == "failed"
                cells = " | ".join(f"{100 * count / chosen.studies:.1f} %" for count in failed.values())
                print(f"| {tail} | {n} | {drift:g} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
