"""Probes against scikit-learn's own search, planted classes, and groups that give the class away."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from repdrift.core.errors import ShapeError
from repdrift.outcomes.probe_fit import FOLDS, INNER_FOLDS, STRENGTHS, probe_fault, probe_hits, splits


def planted(n, p, classes=2, strength=1.0, seed=0):
    g = np.random.default_rng(seed)
    labels = g.integers(0, classes, n)
    rows = g.normal(size=(n, p)) * np.geomspace(0.01, 100, p)
    rows[:, :3] += strength * 0.02 * np.eye(classes)[labels] @ g.normal(size=(classes, 3))
    return rows + 50, labels


@pytest.mark.parametrize(("n", "p", "classes"), [(90, 12, 2), (60, 150, 2), (90, 20, 3)])
def test_hits_are_those_of_scikit_learns_grid_search(n, p, classes):
    rows, labels = planted(n, p, classes, strength=2.0)
    expected = np.zeros(n)
    for train, test in splits(labels, None, FOLDS):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, tol=1e-8)),
            {"logisticregression__C": STRENGTHS},
            scoring="neg_log_loss",
            cv=splits(labels[train], None, INNER_FOLDS),
        ).fit(rows[train], labels[train])
        expected[test] = search.predict(rows[test]) == labels[test]
    assert np.mean(probe_hits(rows, labels, None) == expected) >= 0.98, "a row on the border may go either way"


def test_classes_that_are_there_are_read_and_others_are_not():
    rows, labels = planted(150, 40, strength=30)
    assert probe_hits(rows, labels, None).mean() > 0.95
    shuffled = np.random.default_rng(1).permutation(labels)
    assert 0.3 < probe_hits(rows, shuffled, None).mean() < 0.7


def test_groups_stay_whole_so_that_a_paragraph_does_not_give_the_class_away():
    g = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 6)
    labels = g.integers(0, 2, 20)[groups]
    rows = g.normal(size=(20, 30))[groups] + 0.01 * g.normal(
        size=(120, 30)
    )  # a row says which group it is of, and no more
    names = [str(group) for group in groups]
    assert probe_hits(rows, labels, None).mean() > 0.95
    assert probe_hits(rows, labels, names).mean() < 0.8
    for train, test in splits(labels, names, FOLDS):
        assert not set(groups[train]) & set(groups[test])


def test_equal_rows_give_equal_hits_and_a_lost_class_is_noticed():
    rows, labels = planted(100, 20, strength=10)
    first = probe_hits(rows, labels, None)
    assert np.array_equal(first, probe_hits(rows.copy(), labels.copy(), None))
    noised = rows + 1000 * np.random.default_rng(3).normal(size=rows.shape)
    assert probe_hits(noised, labels, None).mean() < first.mean() - 0.2


def test_rows_that_do_not_vary_name_the_largest_class():
    labels = np.array([0] * 20 + [1] * 10)
    assert probe_hits(np.ones((30, 50)), labels, None).sum() == 20
    assert probe_hits(np.ones((30, 4)), labels, None).sum() == 20


def test_a_rare_class_is_no_fault_and_no_warning():
    rows, labels = planted(60, 10, strength=30)
    labels[0] = 2
    assert probe_fault(labels, None) is None
    assert probe_hits(rows, labels, None)[0] == 0


@pytest.mark.parametrize(
    ("labels", "groups", "reason"),
    [
        (np.zeros(30, dtype=int), None, "every sample has the same class"),
        (np.array([0, 1, 0, 1]), None, "0 of them has 5 or more"),
        (np.array([0] * 30 + [1] * 4), None, "1 of them has 5 or more"),
        (np.array([0, 1] * 20), ["a", "b", "c", "d"] * 10, "the samples come in 4 groups"),
        (np.array([1] * 8 + [0] * 32), ["x"] * 8 + [str(i) for i in range(32)], "left with one class"),
    ],
)
def test_too_little_to_fit_a_probe_is_a_reason(labels, groups, reason):
    assert reason in (probe_fault(labels, groups) or "")


def test_other_numbers_of_rows_and_labels_are_refused():
    with pytest.raises(ShapeError, match=r"n labels; got \(6, 2\) and \(5,\)"):
        probe_hits(np.zeros((6, 2)), np.zeros(5, dtype=int), None)
