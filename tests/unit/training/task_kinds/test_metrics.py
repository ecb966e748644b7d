import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from repdrift.training.task_kinds.classification import classification_metrics
from repdrift.training.task_kinds.question_answering import best_span
from repdrift.training.task_kinds.squad_metrics import squad_v2_scores


@pytest.mark.parametrize("classes", [2, 4])
def test_classification_scores_agree_with_scikit_learn(classes):
    g = np.random.default_rng(classes)
    actual, predicted = g.integers(0, classes, 200), g.integers(0, classes, 200)
    found = classification_metrics(predicted, actual)
    assert found["accuracy"] == pytest.approx(accuracy_score(actual, predicted))
    assert found["f1"] == pytest.approx(f1_score(actual, predicted, average="binary" if classes == 2 else "macro"))


def test_squad_scores_by_hand():
    predicted = ["the Cat!", "", "a big dog", "", "bird"]
    answers = [["cat"], [], ["big brown dog"], ["tree"], []]
    found = squad_v2_scores(predicted, answers).metrics
    assert found["exact_match"] == pytest.approx(2 / 5)  # "the Cat!" and the first ""
    overlap = 2 * 2 / (2 + 3)  # big, dog against big, brown, dog
    assert found["f1"] == pytest.approx((1 + 1 + overlap + 0 + 0) / 5)
    assert found["answerability_accuracy"] == pytest.approx(3 / 5)
    assert found["answerable_f1"] == pytest.approx((1 + overlap + 0) / 3)
    assert found["unanswerable_accuracy"] == pytest.approx(1 / 2)


def test_best_span_agrees_with_trying_every_one():
    g = torch.Generator().manual_seed(0)
    offsets = [None, None, *[(3 * i, 3 * i + 2) for i in range(40)], None]
    for _ in range(20):
        start, end = torch.randn(43, generator=g), torch.randn(43, generator=g)
        scores = {(i, j): float(start[i] + end[j]) for i in range(2, 42) for j in range(i, min(i + 30, 42))}
        i, j = max(scores, key=scores.__getitem__)
        found = best_span(start, end, offsets, null_position=0)
        assert (found.start, found.end) == (offsets[i][0], offsets[j][1])
        assert found.margin == pytest.approx(scores[i, j] - float(start[0] + end[0]), abs=1e-5)
