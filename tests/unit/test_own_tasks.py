"""The tasks that the reference study makes from built-in ones: what a row may hold, drawn alike in any order, and nothing learnt twice."""

import json
import random
import shutil
from pathlib import Path

import datasets
import pytest
from studies.own_tasks.__main__ import main
from studies.own_tasks.answer_sentences import answer_sentences, sentences
from studies.own_tasks.more_to_score import more_to_score

from repdrift.tasks.sources import load_rows
from repdrift.tasks.spec import task

PARAGRAPH = "The tower was built in 1889. Mr. J. Smith paid for it, which took years! It is 330 m tall"


def question(answer, *, name="a", context=PARAGRAPH, others=()):
    places = [context.index(text) for text in (answer, *others)]
    return {"id": name, "question": " When? ", "context": context, "answers": {"text": [answer, *others], "answer_start": places}}  # fmt: skip


@pytest.fixture(scope="module")
def squad():
    return load_rows(task("squad_v2"), "train", data_dir="sample").rows


@pytest.mark.parametrize(
    ("paragraph", "expected"),
    [
        (
            PARAGRAPH,
            ["The tower was built in 1889.", "Mr. J. Smith paid for it, which took years!", "It is 330 m tall"],
        ),
        ('He said "Never." Then he left.', ['He said "Never."', "Then he left."]),
        ("It cost 3.5 million. (Two were lost.) No more", ["It cost 3.5 million.", "(Two were lost.)", "No more"]),
        ("One alone", ["One alone"]),
        ("The U.S. Army came. It left", ["The U.S. Army came.", "It left"]),
    ],
)
def test_sentences_end_where_a_reader_ends_them_and_cover_the_paragraph(paragraph, expected):
    places = sentences(paragraph)
    assert [paragraph[start:end].strip() for start, end in places] == expected
    assert "".join(paragraph[start:end] for start, end in places) == paragraph


def test_half_of_the_questions_stand_beside_their_answer_and_the_others_beside_another_sentence(squad):
    answered = {row["id"]: row for row in squad if len(row["answers"]["text"])}
    rows = list(answer_sentences(squad))
    assert len(rows) > 0.9 * len(answered)
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        source = answered[row["id"]]
        assert row["sentence"] in source["context"]
        said = [answer in row["sentence"] for answer in source["answers"]["text"]]
        assert said[0] if row["label"] == "answers" else not any(said)
    share = sum(row["label"] == "answers" for row in rows) / len(rows)
    assert abs(share - 0.5) < 3 * (0.25 / len(rows)) ** 0.5


def test_rows_are_the_same_in_any_order_of_questions(squad):
    shuffled = random.Random(0).sample(squad, len(squad))
    by_id = {row["id"]: row for row in answer_sentences(squad)}
    assert {row["id"]: row for row in answer_sentences(shuffled)} == by_id


@pytest.mark.parametrize(
    "row",
    [
        {"id": "a", "question": "When?", "context": PARAGRAPH, "answers": {"text": [], "answer_start": []}},
        question("1889. Mr."),
        question("330 m", context="It is 330 m tall"),
        question("1889", context="The tower: 1889. It was built in 1889 indeed."),
        question("Yes", context="Yes it is. They were told that the tower is tall."),
    ],
    ids=["no answer", "over two sentences", "no other sentence", "the other says it too", "too short"],
)
def test_a_question_without_a_pair_is_left_out(row):
    assert list(answer_sentences([row])) == []


def test_questions_on_one_paragraph_are_one_group():
    rows = list(answer_sentences([question("1889"), question("330 m", name="b"), question("Rome", name="c", context="It lies in Rome. It is very old indeed.")]))  # fmt: skip
    assert [row["paragraph"] == rows[0]["paragraph"] for row in rows] == [True, True, False]
    assert rows[0]["question"] == "When?"


def test_moved_rows_take_their_premises_with_them_and_none_is_lost():
    train, validation = (load_rows(task("rte"), split, data_dir="sample").rows for split in ("train", "validation"))
    kept, scored = more_to_score(train, validation, at_least=60)
    moved = scored[len(validation) :]
    assert scored[: len(validation)] == validation
    assert 60 <= len(moved) < 70
    assert not {row["sentence1"] for row in kept} & {row["sentence1"] for row in moved}
    assert sorted(row["sentence2"] for row in [*kept, *moved]) == sorted(row["sentence2"] for row in train)
    assert len({row["idx"] for row in scored}) == len(scored)
    again, _ = more_to_score(train[::-1], validation, at_least=60)
    assert again[::-1] == kept


def test_the_command_writes_what_studies_read(tmp_path, monkeypatch, capsys):
    data = tmp_path / "data"
    for name in ("squad_v2", "rte"):
        for split in ("train", "validation"):
            rows = load_rows(task(name), split, data_dir="sample").rows
            file = data / name / f"{split}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(json.dumps(row) + "\n" for row in rows * (8 if (name, split) == ("rte", "train") else 1)))  # fmt: skip
    monkeypatch.setenv("REPDRIFT_DATA", str(data))
    assert main([str(tmp_path / "own_tasks")]) == 0
    said = capsys.readouterr().out.splitlines()
    for line in said:
        name, _, count = line.partition(": ")
        written = [json.loads(row) for row in Path(name).read_text(encoding="utf-8").splitlines()]
        assert count == f"{len(written):,} rows"
    assert len(said) == 4
    own = load_rows(task("rte"), "validation", data_dir=tmp_path / "own_tasks").rows
    assert len(own) >= 100 + 1100
    shutil.rmtree(data / "rte")

    def offline(*_args, **_kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    assert main([str(tmp_path / "again")]) == 1
    assert "no train data for task 'rte'" in capsys.readouterr().err
