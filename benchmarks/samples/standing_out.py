"""How often a sample is said to stand out: with none that moved by itself, and with twenty that did.

    PYTHONPATH=src python benchmarks/samples/standing_out.py

Prints for each case, with the control of a random change and without it: the share of comparisons in which a sample that did not move by itself is
named, the mean number of these, and the share of the samples that moved that are named.
"""

from __future__ import annotations

import argparse

import numpy as np

from repdrift.core.records.sites import SiteLayer
from repdrift.drift.sample_drift import bulk_moves, place_shares
from repdrift.similarity import Representation
from repdrift.similarity.kernels.sample_shares import RowParts, SampleShares

CONTROL = 64
"""Samples of the random change, as many as `compare` takes of a thousand."""
LAYERS = 7
PLANTED = 20


def base_rows(n: int, p: int, generator: np.random.Generator) -> np.ndarray:
    """Rows with a falling spectrum, of unequal length, about a common mean."""
    spectrum = np.arange(1, p + 1) ** -0.7
    return generator.normal(size=(n, p)) * spectrum * generator.lognormal(0, 0.3, (n, 1)) + 3


def linear_change(x: np.ndarray, size: float, generator: np.random.Generator) -> np.ndarray:
    """All samples moved by one linear map."""
    p = x.shape[1]
    return x @ (np.eye(p) + size * generator.normal(size=(p, p)) / np.sqrt(p))


def noise(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Every sample moved at random by itself."""
    return x + 0.3 * generator.normal(size=x.shape) * x.std(axis=0)


def control(x: np.ndarray, generator: np.random.Generator) -> RowParts:
    """Moves of a part of the samples after a small linear change."""
    sides = Representation(x[:CONTROL]), Representation(linear_change(x, 0.05, generator)[:CONTROL])
    return bulk_moves(*sides, SampleShares(*sides).parts())


def main() -> None:
    """Runs all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=40)
    repeats = parser.parse_args().repeats
    generator = np.random.default_rng(0)
    print("change, n, planted, control: any false, mean false, found")
    for n, p in ((200, 64), (750, 384)):
        for change in ("linear", "noise"):
            for planted in (0, PLANTED):
                for with_control in (True, False):
                    false: list[int] = []
                    found: list[float] = []
                    for _ in range(repeats):
                        x = base_rows(n, p, generator)
                        y = linear_change(x, 0.3, generator) if change == "linear" else noise(x, generator)
                        y[:planted] = base_rows(n, p, generator)[:planted]
                        at = place_shares(
                            SiteLayer("resid_post", 0), Representation(x), Representation(y), noise=1e-12, tests=LAYERS,
                            by_chance=control(x, generator) if with_control else None,
                        )  # fmt: skip
                        false.append(int(at.stands_out[planted:].sum()))
                        found.append(float(at.stands_out[:planted].mean()) if planted else np.nan)
                    print(
                        f"{change}, {n}, {planted}, {with_control}: {np.mean(np.array(false) > 0):.3f}, {np.mean(false):.2f}, {np.mean(found):.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
