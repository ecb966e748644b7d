import itertools

import numpy as np
import pytest

from repdrift.core.errors import ConfigError
from repdrift.core.records.representation_set import SetMetadata
from repdrift.drift.sample_intervals import SamplingOptions, draws_for, sample_interval


def _metadata(**changes):
    fields = {
        "key": "k", "task": "t", "method": "base", "seed": None, "step": 0, "model": "m", "weights_digest": "w",
        "sample_set_fingerprint": "f", "sample_ids": [str(i) for i in range(30)], "truncated_samples": 0, "pooling": "mean",
        "dtype": "float32", "compute_dtype": "float32", "layers": [0], "shape": [30, 4], "payload": "pt", "files": {}, "created": "",
        "versions": {},
    }  # fmt: skip
    return SetMetadata(**{**fields, **changes})


def test_draws_belong_to_the_sample_set_and_to_nothing_else():
    options = SamplingOptions(replicates=400, groups=6)
    first = draws_for(_metadata(), options)
    again = draws_for(_metadata(method="lora", seed=3, model="x"), options)
    other = draws_for(_metadata(sample_set_fingerprint="g"), options)
    assert (first.weights == again.weights).all()
    assert (first.groups == again.groups).all()
    assert (first.weights != other.weights).any()
    assert first.weights.shape == (400, 30)
    assert (first.weights.sum(axis=1) == 30).all()
    assert np.bincount(first.groups).tolist() == [5] * 6


def test_tokens_of_one_sample_are_left_out_together_and_never_drawn_one_by_one():
    lengths = [1 + i % 3 for i in range(30)]
    metadata = _metadata(pooling="tokens", shape=[sum(lengths), 4], tokens_per_sample=lengths)
    draws = draws_for(metadata, SamplingOptions(replicates=400, groups=6))
    assert draws.weights is None
    starts = np.cumsum([0, *lengths])
    assert all(len(set(draws.groups[a:b])) == 1 for a, b in itertools.pairwise(starts))
    assert (
        draws_for(_metadata(pooling="tokens", shape=[20_001, 4], tokens_per_sample=[1] * 30), SamplingOptions()).groups
        is None
    )


def test_jackknife_bounds_are_those_of_a_mean():
    x = np.random.default_rng(0).normal(3, 1, size=50)
    without = (x.sum() - x) / 49
    found = sample_interval(float(x.mean()), None, [without], SamplingOptions(replicates=0))
    reach = 2.0095752 * x.std(ddof=1) / np.sqrt(50)  # Student's t, 49 degrees of freedom
    assert (found.low, found.high) == pytest.approx((x.mean() - reach, x.mean() + reach), rel=1e-6)
    assert found.method == "jackknife"


def test_two_tasks_have_samples_of_their_own_and_their_variances_add():
    g = np.random.default_rng(1)
    x, y = g.normal(1, 1, 60), g.normal(2, 3, 60)
    # The mean over both tasks, without each sample of the one, then of the other.
    parts = [((x.sum() - x) / 59 + y.mean()) / 2, (x.mean() + (y.sum() - y) / 59) / 2]
    centre = (x.mean() + y.mean()) / 2
    found = sample_interval(centre, None, parts, SamplingOptions(replicates=0))
    error = np.sqrt(x.var(ddof=1) / 60 + y.var(ddof=1) / 60) / 2
    assert found.high - centre == pytest.approx(2.0009954 * error, rel=1e-6)


def test_a_drift_is_bounded_on_the_scale_of_its_logarithm():
    values = np.exp(np.random.default_rng(2).normal(-3, 0.05, size=40))
    found = sample_interval(0.05, None, [values], SamplingOptions(replicates=0), log_scale=True)
    assert found.low * found.high == pytest.approx(0.05**2)
    assert found.low > 0
    below_zero = sample_interval(0.001, None, [values - 0.05], SamplingOptions(replicates=0), log_scale=True)
    assert below_zero.low < 0, "what may be negative has no logarithm and is bounded as it is"


def test_bootstrap_methods_are_taken_where_they_are_asked_for():
    g = np.random.default_rng(3)
    replicates, without = g.exponential(size=2000), g.normal(1, 0.01, size=30)
    percentile = sample_interval(1.0, replicates, [without], SamplingOptions(method="percentile", replicates=2000))
    assert (percentile.low, percentile.high) == pytest.approx(tuple(np.quantile(replicates, [0.025, 0.975])))
    bca = sample_interval(1.0, replicates, [without], SamplingOptions(method="bca", replicates=2000))
    assert bca.method == "bootstrap BCa"
    assert bca.low != percentile.low
    replicates[7] = np.nan
    assert sample_interval(1.0, replicates, [without], SamplingOptions(method="percentile", replicates=2000)) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "bootstrap"}, "one of percentile, bca, jackknife"),
        ({"replicates": 100}, "at least 400 replicates, or 0 for none; got 100"),
        ({"confidence": 95.0}, "between 0 and 1"),
        ({"replicates": 0, "method": "bca"}, "the bca interval needs replicates"),
        ({"groups": 1}, "groups not 1"),
    ],
)
def test_options_that_give_no_interval_are_refused_before_anything_is_measured(changes, message):
    with pytest.raises(ConfigError, match=message):
        SamplingOptions(**changes)


def test_nothing_is_drawn_of_more_rows_than_memory_holds():
    ids = [str(i) for i in range(20_001)]
    draws = draws_for(_metadata(sample_ids=ids, shape=[20_001, 4]), SamplingOptions(replicates=400))
    assert draws.weights is draws.groups is None
    assert draws.by_sample, "what has a formula for leaving out one sample keeps it"
