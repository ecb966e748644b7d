"""Samples that come in groups: whole groups are drawn and left out, fewer than 10 give no interval, and every output says so."""

from typing import Any

import numpy as np
import pytest
import torch

from repdrift.core.group_words import group_notes
from repdrift.core.records.representation_set import SetMetadata
from repdrift.drift import analyze
from repdrift.drift.resampled_drift import bootstrapped_drifts, delete_group_drifts, reflected
from repdrift.drift.sample_intervals import SamplingOptions, draws_for, draws_of, group_pull, sample_interval
from repdrift.drift.sample_units import SampleUnits
from repdrift.similarity import Representation, measure
from repdrift.similarity.uncertainty.delete_group import delete_group_values
from repdrift.similarity.uncertainty.resampling import cka_resampled
from tests.resealed import edit_record
from tests.unit.drift.study_on_disk import N

OPTIONS = SamplingOptions(replicates=400)


def pair(n, p=24, seed=0, noise=0.5):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, p)) * np.linspace(0.3, 2, p)
    return Representation(torch.tensor(x)), Representation(torch.tensor(x + noise * g.normal(size=x.shape)))


def there(value: Any) -> Any:
    """A value that a test needs."""
    assert value is not None
    return value


def interval(*args: Any, **options: Any) -> Any:
    return sample_interval(*args, **options)


def drawn(*args: Any, **options: Any) -> Any:
    return draws_of(*args, **options)


def test_one_group_a_sample_is_as_no_groups_at_all():
    names = [f"own {number}" for number in range(30)]
    alone, named = (drawn(30, groups, "f", OPTIONS) for groups in (None, names))
    assert alone.by_sample
    assert named.by_sample
    assert named.units == alone.units
    assert (alone.weights == named.weights).all()
    assert (alone.groups == named.groups).all()


def test_whole_groups_are_drawn_and_left_out():
    sizes = [1, 9, 2, 2, 3, 1, 4, 5, 2, 6, 3, 2]
    names = np.repeat([f"g{i}" for i in range(12)], sizes).tolist()
    draws = drawn(40, names, "f", SamplingOptions(replicates=400, groups=5), unit="paragraph")
    for name in set(names):
        rows = [i for i, other in enumerate(names) if other == name]
        assert len(set(draws.groups[rows])) == 1
        assert (draws.weights[:, rows] == draws.weights[:, rows[:1]]).all()
    firsts = [names.index(name) for name in dict.fromkeys(names)]
    assert (draws.weights[:, firsts].sum(axis=1) == 12).all()
    assert draws.units.n_groups == 12
    assert draws.units.resampled_freedom == pytest.approx(40**2 / np.square(sizes).sum() - 1)


@pytest.mark.parametrize(("n_groups", "said"), [(1, "come from 1 paragraph,"), (9, "come from 9 paragraphs,")])
def test_too_few_groups_give_no_draws_and_the_reason(n_groups, said):
    draws = drawn(40, [str(i % n_groups) for i in range(40)], "f", OPTIONS, unit="paragraph")
    assert draws.weights is None
    assert draws.groups is None
    assert said in draws.units.missing
    base, tuned = pair(40)
    m = measure("cka")
    assert delete_group_drifts(m, m.prepare(base), [m.prepare(tuned)], draws, (base, [tuned])) is None


def test_sets_of_an_older_version_whose_task_has_groups_have_no_draws():
    old = SetMetadata(
        key="k", task="squad_v2", method="base", seed=None, step=0, model="m", weights_digest="w", sample_set_fingerprint="f",
        sample_ids=[str(i) for i in range(30)], truncated_samples=0, pooling="mean", dtype="float32", compute_dtype="float32", layers=[0],
        shape=[30, 4], payload="pt", files={}, created="", versions={},
    )  # fmt: skip
    assert "Run `repdrift extract` once more" in str(draws_for(old, OPTIONS, grouped=True).units.missing)
    assert draws_for(old, OPTIONS).units.missing is None


def test_the_jackknife_of_a_mean_over_groups_is_the_formula_of_clusters():
    """Equal groups: the error is that of the mean of the group means. Unequal ones: sum of squared deviations of group sums, in closed form."""
    g = np.random.default_rng(1)
    x, names = g.normal(2, 1, size=60) + np.repeat(g.normal(size=12), 5), np.repeat(np.arange(12), 5)
    without = np.array([x[names != group].mean() for group in range(12)])
    found = interval(
        float(x.mean()), None, [without], SamplingOptions(replicates=0), units=[SampleUnits(12, "paragraph", 11.0)]
    )
    means = x.reshape(12, 5).mean(axis=1)
    reach = 2.200985160 * means.std(ddof=1) / np.sqrt(12)  # Student's t, 11 degrees of freedom
    assert (found.low, found.high) == pytest.approx((x.mean() - reach, x.mean() + reach), rel=1e-8)
    assert found.method == "jackknife over 12 paragraphs"


def test_a_measure_that_is_a_mean_takes_the_groups_too():
    base, tuned = pair(48)
    names = np.repeat(np.arange(12), 4)
    draws = drawn(48, [str(name) for name in names], "f", OPTIONS)
    m = measure("cosine")
    values = there(delete_group_drifts(m, m.prepare(base), [m.prepare(tuned)], draws, (base, [tuned])))[0]
    x, y = base.exact.numpy(), tuned.exact.numpy()
    cosines = (x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    assert values == pytest.approx([1 - cosines[names != group].mean() for group in range(12)], abs=1e-12)


def test_cka_without_each_group_is_that_of_the_rows_without_it():
    base, tuned = pair(60)
    draws = drawn(60, [str(i // 5) for i in range(60)], "f", OPTIONS)
    m = measure("cka")
    found = delete_group_drifts(m, m.prepare(base), [m.prepare(tuned)], draws, (base, [tuned]))
    again = 1 - delete_group_values(m, base, [tuned], draws.groups)
    assert found == pytest.approx(again, rel=1e-4)


def test_resamples_of_groups_of_many_samples_are_computed_exactly():
    base, tuned = pair(310, p=12)
    draws = drawn(310, [str(i // 10) for i in range(310)], "f", OPTIONS)
    m = measure("cka")
    x, y = m.prepare(base), m.prepare(tuned)
    assert (cka_resampled(x, [y], draws.weights) == cka_resampled(x, [y], draws.weights, exact=True)).all()


def test_reflected_resamples_lie_as_far_on_the_other_side():
    replicates = np.array([0.1, 0.2, 0.4])
    found = reflected(0.25, replicates, 10**9)
    assert found == pytest.approx(0.25**2 / replicates)
    assert reflected(-0.01, replicates, 10**9) == pytest.approx(-0.02 - replicates)


def test_alike_samples_pull_a_drift_and_its_interval_is_corrected():
    """Samples that are copies of 20 independent ones: the pull is known, since the drift of the 20 alone has none."""
    base, tuned = pair(20, p=40, noise=1.0)
    copies = [Representation(side.exact.repeat_interleave(6, dim=0)) for side in (base, tuned)]
    draws = drawn(120, [str(i // 6) for i in range(120)], "f", OPTIONS)
    m = measure("cka")
    x, y = (m.prepare(side) for side in copies)
    drift, alone = 1 - m.compare(x, y), 1 - m.compare(m.prepare(base), m.prepare(tuned))
    without = there(delete_group_drifts(m, x, [y], draws, (copies[0], [copies[1]])))[0]
    assert drift < 0.8 * alone
    assert group_pull(drift, without) < -0.1
    units = [SampleUnits(20, "group", 19.0, 19.0, corrected=True)]
    found = interval(drift, None, [without], SamplingOptions(replicates=0), log_scale=True, units=units)
    assert found.low < alone < found.high
    resampled = reflected(drift, there(bootstrapped_drifts(m, x, _models([y]), [0], draws))[0], 20)
    by_resamples = interval(drift, resampled, [without], SamplingOptions(method="percentile"), units=units)
    assert by_resamples.low < alone < by_resamples.high
    assert by_resamples.method == "bootstrap, reflected, over 20 groups"


def _models(prepared):
    from repdrift.drift.memory_need import PreparedModels

    return PreparedModels(prepared.__getitem__, len(prepared), 8)


@pytest.fixture
def grouped_study(study):
    """A study in which the samples of one task come from 10 paragraphs, and those of the other from 4."""

    def name_groups(content):
        size = 4 if content["task"] == "mrpc" else 10
        content |= {"sample_groups": [str(i // size) for i in range(N)], "sample_group_unit": "paragraph"}

    for path in study.root.rglob("metadata.json"):
        edit_record(path, name_groups)
    return study


def test_an_analysis_says_what_its_intervals_are_over_and_where_there_are_none(grouped_study, tmp_path):
    results, table = analyze(grouped_study.plan(), tmp_path / "out")
    cka = table[table["measure"] == "cka"]
    assert set(cka[cka["task"] == "mrpc"]["interval"]) == {"jackknife over 10 paragraphs"}
    assert cka[cka["task"] == "sst2"]["drift_low"].isna().all()
    reason = "the samples come from 4 paragraphs, and an interval needs 10 at least"
    assert set(cka[cka["task"] == "sst2"]["interval"]) == {f"none: {reason}"}
    for task in ("sst2", "all"):
        (found,) = [r for r in results.reductions if r.task == task and r.layer is None]
        assert f"no interval over samples: on SST-2 {reason}" in found.notes
        assert f"no interval over models and samples: on SST-2 {reason}" in found.notes
    (grouped,) = [r for r in results.reductions if r.task == "mrpc" and r.layer is None]
    words = {i.over: i.method for i in grouped.intervals}
    assert words["samples"] == "jackknife over 10 paragraphs"
    assert words["models and samples"].endswith("over 10 paragraphs")
    (caution,) = [w for w in results.warnings if "no interval over samples" in w]
    assert caution.startswith("Task SST-2")
    assert reason in caution
    summary = (tmp_path / "out" / "drift_analysis_summary.md").read_text()
    assert caution in summary
    assert "The 40 samples come from 10 paragraphs" in summary


def test_ignoring_groups_gives_other_intervals_and_the_same_drifts(grouped_study, whole_study, tmp_path):
    _, grouped = analyze(grouped_study.plan(), tmp_path / "a")
    _, alone = analyze(whole_study.plan(), tmp_path / "b")
    assert grouped["drift"].equals(alone["drift"])
    rows = (grouped["measure"] == "cka") & (grouped["task"] == "mrpc")
    assert (grouped[rows]["drift_low"] != alone[rows]["drift_low"]).all()


@pytest.mark.parametrize(("largest", "drawn_at_all"), [(20, True), (21, False)])
def test_a_group_of_more_than_half_of_the_samples_gives_no_interval(largest, drawn_at_all):
    names = ["big"] * largest + [f"s{i}" for i in range(40 - largest)]
    draws = drawn(40, names, "f", OPTIONS, unit="paragraph")
    assert (draws.groups is not None) is drawn_at_all
    if not drawn_at_all:
        said = "one of 20 paragraphs holds 21 of the 40 samples, so an interval would rest on that one alone"
        assert draws.units.missing == said
        assert group_notes(names, "paragraph") == [
            f"The 40 samples come from 20 paragraphs. Drift has no interval over samples: {said}."
        ]
