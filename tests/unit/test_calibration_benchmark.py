"""The calibration benchmark itself: it must know a wrong test and a wrong interval when it sees one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.calibration import arms, equal_skill, model_cells, procedures, tables
from benchmarks.calibration.cells import Cell, Limit, coverage, rejections
from benchmarks.calibration.models import Study
from benchmarks.calibration.sample_cells import SamplePlan
from benchmarks.calibration.sample_cells import simulate as simulate_samples
from benchmarks.calibration.samples import Population
from scipy.stats import norm

NULL = Study((3, 3))


def z_test(study: Study, a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Takes the spread of three values for the true one: it rejects far too often."""
    del study, seed
    error = math.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
    return float(norm.cdf((b.mean() - a.mean()) / error))


def test_a_sound_test_meets_its_target_and_a_z_test_on_three_seeds_fails():
    wrong = procedures.pvalue("z test", z_test)
    plan = model_cells.Plan(NULL, (procedures.LABELS, wrong))
    sound, _, failing = model_cells.simulate(plan, 400, seed=0)
    assert sound.verdict == "met"
    assert failing.verdict == "FAILED"
    assert failing.share > 0.08
    assert "**FAILED**" in tables.markdown([sound, failing])


def narrow(study: Study, a: np.ndarray, b: np.ndarray, seed: int) -> tuple[float, float]:
    """Half as wide as the normal interval with the true spread."""
    del seed
    centre, reach = float(np.log(b / a).mean()), 0.5 * 1.96 * study.spreads[0] * math.sqrt(2 / a.size)
    return centre - reach, centre + reach


def test_an_interval_of_half_its_width_fails():
    half = procedures.interval("half", narrow, lambda _: 0.0)
    (cell,) = model_cells.simulate(model_cells.Plan(NULL, (half,)), 400, seed=0)
    assert cell.verdict == "FAILED"
    assert cell.tails is not None
    assert min(cell.tails) > 0.1


def test_sample_cells_cover_about_what_they_say():
    plan = SamplePlan(Population("normal", (0.3, 0.24), features=24), 40, replicates=400)
    cells = simulate_samples(plan, 30, seed=0)
    assert {c.what for c in cells} >= {"cka: drift, Measure.interval", "cka: reduction, jackknife of the log ratio"}
    assert {c.what for c in cells if c.share < 0.75} == set()
    assert {c.what for c in cells if c.given < 30} <= {c.what for c in cells if c.what.endswith("bca")}


@pytest.mark.parametrize("tails", ["normal", "lognormal", "outlier"])
def test_population_drifts_are_those_of_a_large_sample(tails):
    population = Population(tails, (0.3, 0.1), features=16)
    x, *ys = population.draw(40_000, np.random.default_rng(0))[0]
    found = [
        1 - np.sum((x.T @ y) ** 2) / math.sqrt(np.sum((x.T @ x) ** 2) * np.sum((y.T @ y) ** 2)) for y in ys
    ]  # fmt: skip
    assert found == pytest.approx(population.drifts, rel=0.03)


def test_studies_have_the_means_that_they_state():
    study = Study((100_000, 100_000), ratio=0.8, spreads=(0.45, 0.15))
    a, b = study.draw(np.random.default_rng(0))
    assert b.mean() / a.mean() == pytest.approx(0.8, rel=0.01)
    a, b = replace(study, centre="log").draw(np.random.default_rng(0))
    assert np.log(b).mean() - np.log(a).mean() == pytest.approx(math.log(0.8), abs=0.01)
    assert np.log(a).std() == pytest.approx(0.45, rel=0.02)


def cell(**changes: object) -> Cell:
    return replace(Cell("models", "a test", "null", "3 v 3", "rejection", 0.05, 4000, 4000), **changes)  # type: ignore[arg-type]


def test_verdicts_allow_two_standard_errors_and_stated_limits():
    two_errors = 2 * math.sqrt(0.05 * 0.95 / 4000)
    assert cell(share=0.05 + two_errors * 0.99).verdict == "met"
    assert cell(share=0.05 + two_errors * 1.01).verdict == "FAILED"
    assert cell(share=0.1, limit=Limit(0.1, "equal spreads")).verdict == "as stated"
    assert cell(share=0.2, limit=Limit(0.1, "equal spreads")).verdict == "FAILED"
    assert cell(kind="coverage", share=0.99).verdict == "cautious"
    assert cell(kind="coverage", share=0.9).verdict == "FAILED"
    assert cell(kind="coverage", share=0.9, limit=Limit(0.9, "light tails")).verdict == "as stated"
    assert cell(kind="coverage, one-sided", share=0.99).verdict == "met"
    assert cell(given=0, share=math.nan).verdict == "none"


def test_shares_are_taken_of_what_there_is():
    assert rejections([0.05, None, 0.051, 0.01]) == (pytest.approx(2 / 3), 3)
    share, given, tails = coverage([(0.0, 1.0), None, (0.6, 1.0), (0.0, 0.4), (0.5, 0.5)], 0.5)
    assert (share, given) == (pytest.approx(0.5), 4)
    assert tails == pytest.approx((0.25, 0.25))


def test_arms_are_held_to_their_family_wise_error_and_a_test_that_counts_each_arm_alone_fails(monkeypatch):
    none, some = arms.TRUTHS[:2]
    kept = arms.simulate(none, 300, seed=1)["means over layers, Holm"]
    assert kept.false <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert kept.found is None
    shares = arms.simulate(some, 60, seed=1)
    assert (shares["arms x layers, max-T then Holm"].found or 0) > (shares["arms x layers, joint maximum"].found or 0)
    monkeypatch.setattr(arms, "holm_over_families", lambda families: [np.asarray(f) for f in families])
    assert arms.simulate(none, 300, seed=1)["means over layers, Holm"].false > 0.08
    assert arms.main(["--studies", "150"]) == 1


def test_equal_skill_is_held_to_its_level_and_straight_lines_between_checkpoints_are_not():
    (truth,) = [t for t in equal_skill.TRUTHS if "fourth power" in t.words]
    tally = equal_skill.simulate(truth, (3, 4), 60, seed=1)
    assert tally.share(equal_skill.END) > 0.9  # it has learnt less
    assert tally.share(equal_skill.LINES) > 0.2
    assert tally.share(equal_skill.PATHS) < 0.15
    assert not equal_skill.fails(truth, tally)
    broken = equal_skill.Tally(pvalues={equal_skill.PATHS: tally.pvalues[equal_skill.LINES]}, covered=tally.covered)
    assert equal_skill.fails(truth, broken)
    assert equal_skill.fails(truth, equal_skill.Tally(pvalues=tally.pvalues, covered=[False, True] * 30))
