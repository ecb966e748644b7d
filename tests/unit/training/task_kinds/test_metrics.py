import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from torchmetrics.functional.text import squad

from repdrift.training.scores import Scored, compared_with_constant
from repdrift.training.task_kinds.classification import classification_metrics
from repdrift.training.task_kinds.question_answering import best_span
from repdrift.training.task_kinds.squad_metrics import best_constant_answer, squad_v2_scores


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


WORDS = [
    "cat",
    "Dog",
    "the",
    "a",
    "an",
    "river,",
    "U.S.",
    "bank!",
    "1,000",
    "the-end",
    "naïve",
    "猫",
    "(old)",
    "  mill ",
]


def _texts(g, n):
    return [" ".join(g.choice(WORDS, g.integers(1, 5))) for _ in range(n)]


def _tokens(text):
    """Words of SQuAD's paper: lower case, without the 32 punctuation marks of ASCII, without articles, split at white space."""
    kept = "".join(
        c for c in text.lower() if not (c.isascii() and not c.isalnum() and not c.isspace() and c.isprintable())
    )
    return [word for word in kept.split() if word not in ("a", "an", "the")]


def _f1(predicted, accepted):
    """Twice the shared words over all words of both; where one side has none, whether both have none."""
    ours, theirs = _tokens(predicted), _tokens(accepted)
    if not ours or not theirs:
        return float(ours == theirs)
    rest, shared = list(theirs), 0
    for word in ours:
        if word in rest:
            rest.remove(word)
            shared += 1
    return 2 * shared / (len(ours) + len(theirs))


@pytest.mark.parametrize("seed", range(5))
def test_squad_scores_of_answerable_questions_agree_with_torchmetrics(seed):
    g = np.random.default_rng(seed)
    predicted, answers = _texts(g, 60), [[t for t in _texts(g, 3) if _tokens(t)] or ["mill"] for _ in range(60)]
    found = squad_v2_scores(predicted, answers)
    theirs = squad(
        [{"prediction_text": text, "id": str(i)} for i, text in enumerate(predicted)],
        [{"answers": {"text": a, "answer_start": [0] * len(a)}, "id": str(i)} for i, a in enumerate(answers)],
    )
    for name, metric in (("exact_match", "answerable_exact_match"), ("f1", "answerable_f1")):
        assert 100 * found.metrics[name] == pytest.approx(float(theirs[name]), rel=1e-5)
        assert found.metrics[name] == found.metrics[metric]


@pytest.mark.parametrize("seed", range(5))
def test_squad_scores_agree_with_the_formulae_of_the_paper(seed):
    g = np.random.default_rng(100 + seed)
    n = 80
    predicted = [text if g.random() < 0.7 else "" for text in _texts(g, n)]
    answers = [_texts(g, int(g.integers(1, 4))) if g.random() < 0.6 else [] for _ in range(n)]
    predicted[:5] = [accepted[-1] if accepted else "" for accepted in answers[:5]]
    exact, f1 = [], []
    for text, accepted in zip(predicted, answers, strict=True):
        golden = [a for a in accepted if _tokens(a)] or [""]
        exact.append(max(float(_tokens(text) == _tokens(a)) for a in golden))
        f1.append(max(_f1(text, a) for a in golden))
    found = squad_v2_scores(predicted, answers)
    has = np.array([bool(a) for a in answers])
    assert found.exact_match == pytest.approx(exact)
    assert found.f1 == pytest.approx(f1)
    assert found.metrics == pytest.approx(
        {
            "exact_match": np.mean(exact),
            "f1": np.mean(f1),
            "answerability_accuracy": np.mean([bool(t) == h for t, h in zip(predicted, has, strict=True)]),
            "answerable_exact_match": np.mean(np.array(exact)[has]),
            "answerable_f1": np.mean(np.array(f1)[has]),
            "unanswerable_accuracy": np.mean(np.array(f1)[~has]),
        }
    )


def test_best_constant_answer_is_the_best_of_those_that_look_at_no_question():
    context = "the cat sat on the mat"
    assert best_constant_answer([context] * 3, [[], [], ["cat"]]).words == "no answer to every question"
    short = best_constant_answer(["cat sat"] * 4, [["cat"], ["sat"], ["cat sat"], []])
    assert (short.words, short.f1.mean()) == ("the whole context for every question", pytest.approx((4 / 3 + 1) / 4))
    common = best_constant_answer([context] * 5, [["yes"], ["yes"], ["no"], ["yes", "no"], []])
    assert (common.words, common.f1.tolist()) == ("'yes' for every question", [1, 1, 0, 1, 0])
    long = [" ".join(f"w{i}x{k}" for i in range(100)) for k in range(5)]
    placed = best_constant_answer(long, [[" ".join(text.split()[90:])] for text in long])
    assert (placed.words, placed.f1.tolist()) == ("10 words at the end of the context for every question", [1] * 5)


def test_pointing_anywhere_does_not_beat_the_best_constant_answer():
    """Where every question has an answer, "no answer" scores 0 and any words score more."""
    g = np.random.default_rng(3)
    learnt = 0
    for _ in range(40):
        contexts = [" ".join(f"{g.integers(0, 60)}x" for _ in range(80)) for _ in range(150)]
        answers = [[" ".join(c.split()[(at := int(g.integers(0, 77))) : at + 3])] for c in contexts]
        starts = g.integers(0, 60, 150)
        said = [" ".join(c.split()[s : s + int(g.integers(5, 20))]) for c, s in zip(contexts, starts, strict=True)]
        items, constant = squad_v2_scores(said, answers).f1, best_constant_answer(contexts, answers)
        learnt += bool(compared_with_constant(Scored({}, "f1", items, constant.f1, constant.words)).learnt)
    assert learnt <= 2


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
