"""Sentences on how data was read lose the rows that they quote, whatever the data is, and keep the rest."""

from __future__ import annotations

import json

import pytest

from repdrift.core.quoted_examples import record_without_examples, without_examples
from repdrift.tasks import TaskSpec, load_rows, read_own_file
from tests.unit.drift.study_on_disk import judged

MARKER = "Zanzibar"
_TEXTS = [MARKER, f'{MARKER}\'s "end"', f"a \\ {MARKER}. the first is '", f"{MARKER}\nnew line", f"{MARKER} " * 30]


def without(notes: tuple[str, ...]) -> str:
    assert MARKER in " ".join(notes), "else the test shows nothing"
    return " ".join(map(without_examples, notes))


@pytest.mark.parametrize("text", _TEXTS)
def test_the_first_row_of_texts_and_of_pairs(tmp_path, text):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"one": text, "two": f"{text}!", "topic": "x"}) + "\n" for _ in range(5)))
    for columns in (["one"], ["one", "two"]):
        left = without(read_own_file(path, text_columns=columns).rows.notes)
        assert MARKER not in left
        assert "5 rows read." in left
        assert "not used: " in left


@pytest.mark.parametrize("text", _TEXTS)
def test_prompts_completions_and_chats(tmp_path, text):
    path = tmp_path / "rows.jsonl"
    chat = [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]
    rows = [{"p": f"ask {text}x", "c": f"{text}", "chat": chat}] * 5
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prompts = {"text_columns": ("p",), "label_column": "c"}
    for columns in (prompts, {"text_columns": ("chat",), "label_column": None}):
        spec = TaskSpec(name="own", title="own", kind="causal_lm", files={"validation": path}, **columns)
        left = without(load_rows(spec, "validation").notes)
        assert MARKER not in left
        assert "5 rows read" in left


def test_an_answer_that_is_not_at_its_place_and_a_token_that_differs():
    said = "1 question of 9 ...; the first is row 3: the answer 'Zanz\\'i' is not at character 4 of the context, where \"it's\" stands (it stands at character 9)."
    assert without_examples(said) == (
        "1 question of 9 ...; the first is row 3: the answer is not at character 4 of the context (it stands at character 9)."
    )
    assert (
        without_examples("from token 2 on, 'Zanz' (id 7) here and id 8 there.")
        == "from token 2 on, id 7 here and id 8 there."
    )


def test_other_sentences_stay_as_they_are():
    for said in (
        "2 rows left out, since the text is missing; the first is line 3.",
        "The text is column 'text' of a.csv.",
    ):
        assert without_examples(said) == said


def test_the_most_common_answer_is_not_quoted_in_any_field_of_a_record():
    said = "f1 0.80, and 0.20 for the best constant answer ('Zanz' for every question): a gain of 0.60."
    learnt = judged(True).model_copy(update={"constant_answer": "'Zanz' for every question", "sentence": said})
    left = record_without_examples(learnt)
    assert left.constant_answer == "the most common answer for every question"
    assert left.sentence == (
        "f1 0.80, and 0.20 for the best constant answer (the most common answer for every question): a gain of 0.60."
    )
    assert left.model_copy(update={"constant_answer": "", "sentence": ""}) == learnt.model_copy(
        update={"constant_answer": "", "sentence": ""}
    )
