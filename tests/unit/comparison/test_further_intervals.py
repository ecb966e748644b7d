"""Intervals of drifts by measures other than debiased CKA, against the jackknife written out."""

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from repdrift.comparison.row_measures import RowMeasures
from repdrift.similarity import measure

N = 30


@pytest.fixture(scope="module")
def rows():
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(N, 5, generator=generator, dtype=torch.float64)
    return base, base + 0.4 * torch.randn(N, 5, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", ["procrustes", "cosine_centered", "cka_rbf", "relative_change"])
def test_interval_is_the_delete_one_jackknife_of_the_logarithm(rows, name):
    base, tuned = rows
    asked = RowMeasures({0: base}, ("cka", name), interval_for=(name,))
    (at,) = asked.measure("tuned", {0: tuned})
    m = measure(name)
    drift = m.drift(m(base, tuned))
    left = [m.drift(m(base[keep], tuned[keep])) for k in range(N) if (keep := torch.arange(N) != k) is not None]
    logs = np.log(left)
    reach = student.ppf(0.975, N - 1) * np.sqrt((N - 1) / N * np.square(logs - logs.mean()).sum())
    found = at.intervals[name]
    assert found.freedom == N - 1
    assert found.low == pytest.approx(drift * np.exp(-reach), rel=1e-6)
    assert found.high == pytest.approx(drift * np.exp(reach), rel=1e-6)


def test_none_is_made_unasked_at_token_level_or_with_too_few_groups(rows):
    base, tuned = rows
    for options in ({}, {"interval_for": ("procrustes",), "intervals": False},
                    {"interval_for": ("procrustes",), "groups": ["a", "b"] * (N // 2)}):  # fmt: skip
        (at,) = RowMeasures({0: base}, ("cka", "procrustes"), **options).measure("tuned", {0: tuned})
        assert at.intervals == {}


def test_groups_of_samples_are_left_out_whole(rows):
    base, tuned = rows
    groups = [str(k // 2) for k in range(N)]
    options = {"interval_for": ("procrustes",), "groups": groups}
    (at,) = RowMeasures({0: base}, ("cka", "procrustes"), **options).measure("tuned", {0: tuned})
    assert at.intervals["procrustes"].freedom == at.freedom == N / 2 - 1
