"""The null threshold: what it is chosen on, and that no other threshold would have done better there."""

import numpy as np
import pytest
import torch

from repdrift.tasks import task
from repdrift.training.task_kinds import question_answering
from repdrift.training.task_kinds.null_threshold import best_threshold, set_aside
from tests.unit.training.task_kinds.test_windows import TOKENIZERS, processor_of, row_of

SQUAD = task("squad_v2")


def rows_of(contexts, questions=3, answerable=2):
    """So many contexts, each with so many questions, of which the first few have an answer."""
    return [
        {**row_of(f"the cat sat on mat {number}", *(["cat"] if q < answerable else []), question=f"who {q}?"), "id": f"{number}-{q}"}
        for number in range(contexts)
        for q in range(questions)
    ]  # fmt: skip


def test_rows_set_aside_are_whole_contexts_and_never_trained_on():
    rows = rows_of(120)
    found = set_aside(SQUAD, rows, 0.1)
    assert len(found.chosen_on) == 36
    contexts = [{row["context"] for row in part} for part in (found.to_train, found.chosen_on)]
    assert not contexts[0] & contexts[1]
    assert sorted(row["id"] for row in (*found.to_train, *found.chosen_on)) == sorted(row["id"] for row in rows)
    assert "36 of 360 training rows (10 %, whole contexts, chosen by hash) are not trained on" in found.said
    again = set_aside(SQUAD, rows[::-1], 0.1)
    assert {row["id"] for row in again.chosen_on} == {row["id"] for row in found.chosen_on}


@pytest.mark.parametrize(
    ("rows", "share", "said"),
    [
        (rows_of(40), 0.1, "The null threshold is 0, so an answer is given if its score is above that of no answer: too few training rows"),
        (rows_of(2, questions=200), 0.1, "too few contexts"),
        (rows_of(120, answerable=0), 0.1, "no training question has an answer"),
        (rows_of(120), 0.0, "no training rows are set aside"),
    ],
)  # fmt: skip
def test_where_no_rows_can_be_spared_the_threshold_is_zero_and_it_says_so(rows, share, said):
    found = set_aside(SQUAD, rows, share)
    assert (len(found.to_train), len(found.chosen_on), found.always) == (len(rows), 0, False)
    assert said in found.said


def test_training_rows_that_all_have_an_answer_teach_to_answer_always():
    found = set_aside(SQUAD, rows_of(120, answerable=3), 0.1)
    assert (len(found.to_train), found.always) == (360, True)
    assert found.said == "Every training question has an answer, so an answer is always given."


def test_at_most_a_thousand_rows_are_set_aside():
    assert len(set_aside(SQUAD, rows_of(4000), 0.2).chosen_on) == 999


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_scores_higher(seed):
    g = np.random.default_rng(seed)
    n = 40
    margins = np.round(g.normal(loc=g.normal(), size=n), 1)  # with ties
    margins[:2] = -np.inf
    unanswerable = g.random(n) < 0.5
    answered = np.where(unanswerable, 0.0, g.random(n))
    not_answered = unanswerable.astype(float)

    def f1(threshold):
        return np.where(margins > threshold, answered, not_answered).mean()

    found = best_threshold(margins, answered, not_answered)
    assert f1(found) == pytest.approx(max(f1(t) for t in np.arange(-8, 8, 0.01)))
    if f1(0.0) == pytest.approx(f1(found)):
        assert found == 0, "what is no better than 0 does not move it"


def test_questions_without_a_candidate_leave_the_threshold_at_zero():
    assert best_threshold(np.array([-np.inf]), np.array([0.0]), np.array([1.0])) == 0


def test_threshold_is_chosen_on_the_rows_set_aside_and_used_on_the_others(monkeypatch):
    """A model whose margins are all 3 too high: the threshold takes that back."""

    def predict(model, features, *_, **__):
        found = []
        for feature in features:
            question = str(TOKENIZERS["encoder"].decode(feature["input_ids"])).split("?")[0]
            knows = not question.replace(" ", "").endswith("2")
            start = torch.full((len(feature["input_ids"]),), -9.0)
            start[next(i for i, span in enumerate(feature["offsets"]) if span == (4, 5))] = 4.0 if knows else 2.0
            start[feature["null_position"]] = 0.0
            end = torch.full_like(start, -9.0)
            end[next(i for i, span in enumerate(feature["offsets"]) if span == (6, 7))] = 0.0
            end[feature["null_position"]] = 0.0
            found.append((start, end))
        return found

    monkeypatch.setattr(question_answering, "predict", predict)
    processor = processor_of(TOKENIZERS["encoder"], max_length=60, share=0.1)
    rows = rows_of(120)
    trained = processor.features(rows)
    assert len({f["row"] for f in trained}) == 324
    scored = processor.evaluate(torch.nn.Linear(1, 1), rows[:30])
    assert scored.chosen == {"null_threshold": 3.0}
    assert scored.metrics["f1"] == scored.metrics["exact_match"] == 1
    assert scored.n_train == 324
    assert scored.notes[0].endswith("the null threshold is chosen on them. It is 3.")
    plain = processor_of(TOKENIZERS["encoder"], max_length=60)
    plain.features(rows)
    without = plain.evaluate(torch.nn.Linear(1, 1), rows[:30])
    assert without.chosen == {"null_threshold": 0.0}
    assert without.metrics["unanswerable_accuracy"] == 0
