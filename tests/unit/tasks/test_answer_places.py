"""Answers that do not stand where their file says: counted, with the first of them and the likely cause."""

import json
import unicodedata

import pytest

from repdrift.core.errors import DataError
from repdrift.tasks import load_rows, task
from repdrift.tasks.answer_places import misplaced, places

CONTEXT = "Überall 🐈 cafés: the cat sat in the café."


def _row(text, start, context=CONTEXT):
    return {"question": "who?", "context": context, "answers": {"text": [text], "answer_start": [start]}}


def _read(tmp_path, rows):
    for split in ("train", "validation"):
        folder = tmp_path / "squad_v2"
        folder.mkdir(exist_ok=True)
        lines = [json.dumps({"id": str(i), **row}) + "\n" for i, row in enumerate(rows)]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return load_rows(task("squad_v2"), "train", data_dir=tmp_path)


def _said(tmp_path, row):
    """The note on one misplaced answer among two that stand."""
    notes = _read(tmp_path, [_row("cat", 21), row, _row("Überall", 0)]).notes
    (note,) = [note for note in notes if "does not stand" in note]
    assert note.startswith(
        "1 question of 3 with an answer that does not stand at its place in the context; the first is line 2:"
    )
    assert note.endswith("Such questions are not trained on; where predictions are scored, their texts count.")
    return note


def test_rows_with_misplaced_answers_stay_and_are_counted(tmp_path):
    assert (
        "the answer 'cat' is not at character 19 of the context, where 'e c' stands (it stands at character 21)"
        in _said(tmp_path, _row("cat", 19))
    )
    rows = _read(tmp_path, [_row("cat", 21), _row("cat", 19)]).rows
    assert [misplaced(row["answers"], row["context"]) for row in rows] == [False, True]
    assert [places(row["answers"], row["context"]) for row in rows] == [[(21, 24)], []]


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (_row("cat", len(CONTEXT[:21].encode())), "it is there if the place is counted in bytes of UTF-8"),
        (_row("cat", 22), "it is there if the place is counted in units of UTF-16"),
        (_row("Überall", 1), "it is there if the place is counted from 1"),
        (_row(unicodedata.normalize("NFD", "café"), 36), "the context holds it in another Unicode form"),
        (_row("dog", 3), "it is nowhere in the context"),
        (_row("the", 3), "it stands at character 17 and elsewhere"),
        (_row("cat", -1), "is not at character -1 of the context (it stands at character 21)"),
        (_row("cat", 5000), "is not at character 5000 of the context (it stands at character 21)"),
    ],
)  # fmt: skip
def test_likely_cause_is_named(tmp_path, row, cause):
    assert cause in _said(tmp_path, row)


def test_file_in_which_no_answer_stands_is_refused(tmp_path):
    with pytest.raises(
        DataError,
        match=r"line 1: the answer 'cat' is not at character 22 .*UTF-16.*So it is with all 3 questions that have an answer",
    ):
        _read(tmp_path, [_row("cat", 22)] * 3 + [_row("", 0)])


def test_question_with_one_answer_in_its_place_is_not_counted(tmp_path):
    row = {"question": "who?", "context": CONTEXT, "answers": {"text": ["dog", "cat"], "answer_start": [3, 21]}}
    found = _read(tmp_path, [row])
    assert not any("does not stand" in note for note in found.notes)
    assert places(found.rows[0]["answers"], CONTEXT) == [(21, 24)]


def test_answer_without_a_text_is_no_answer(tmp_path):
    rows = _read(tmp_path, [_row("", -1), _row(" ", 7), _row("cat", 21)]).rows
    assert [row["answers"]["text"] for row in rows] == [[], [], ["cat"]]
