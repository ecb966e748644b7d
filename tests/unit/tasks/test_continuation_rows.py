import json

import pytest

from repdrift.core.errors import ConfigError, DataError
from repdrift.tasks import TaskSpec, load_rows
from repdrift.tasks.continuation import Continuation
from repdrift.tasks.prompt_template import PromptTemplate


def read(tmp_path, rows, *, columns=("messages",), completion=None, template=None):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    spec = TaskSpec(
        "own", "causal_lm", columns, completion, "own", files={"train": path}, continuation=Continuation(template)
    )
    return load_rows(spec, "train")


def chat(*turns):
    return [{"role": role, "content": text} for role, text in turns]


def test_chats_are_read_from_both_writings_with_one_set_of_roles(tmp_path):
    rows = [
        {"messages": chat(("user", "a"), ("assistant", "b"))},
        {"messages": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "c"}, {"from": "human", "value": "d"}]},
    ]
    found = read(tmp_path, rows)
    assert [[turn["role"] for turn in row["messages"]] for row in found.rows] == [
        ["user", "assistant"],
        ["user", "assistant", "user"],
    ]
    assert any("1 chat with other turns after the assistant's last" in note for note in found.notes)


def test_chat_without_assistant_turn_is_left_out_and_counted(tmp_path):
    good = {"messages": chat(("user", "a"), ("assistant", "b"))}
    silent = [
        {"messages": chat(("user", "a"))},
        {"messages": chat(("user", "a"), ("assistant", " "))},
        {"messages": []},
    ]
    found = read(tmp_path, [silent[0], good, *silent[1:]])
    assert len(found.rows) == 1
    assert "3 rows left out, since no assistant turn says anything; the first is line 1." in found.notes
    with pytest.raises(DataError, match="no row has a chat in which the assistant says something"):
        read(tmp_path, silent)


@pytest.mark.parametrize("role", ["assistants", "tool", None, 3])
def test_unknown_role_names_line_turn_and_role(tmp_path, role):
    rows = [{"messages": chat(("user", "a"), ("assistant", "b"))}, {"messages": chat(("user", "a"), (role, "b"))}]
    with pytest.raises(
        DataError,
        match=rf"line 2: turn 2 of the chat in column 'messages' has the role {role!r}; roles that are read are",
    ):
        read(tmp_path, rows)


def test_cell_that_is_no_chat_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"line 1: column 'messages' should hold a chat"):
        read(tmp_path, [{"messages": "hello"}])
    with pytest.raises(DataError, match=r"column 'prompt' holds chat turns"):
        read(
            tmp_path, [{"prompt": chat(("user", "a")), "completion": "b"}], columns=("prompt",), completion="completion"
        )


def test_completions_are_texts_or_accepted_answers(tmp_path):
    rows = [
        {"prompt": "a?", "completion": {"text": ["x", "y"], "answer_start": [0, 1]}},
        {"prompt": "b?", "completion": {"text": [], "answer_start": []}},
        {"prompt": "c?", "completion": "z"},
        {"prompt": "d?", "completion": " "},
        {"prompt": None, "completion": "z"},
    ]
    found = read(tmp_path, rows, columns=("prompt",), completion="completion")
    assert [row["completion"] for row in found.rows] == [["x", "y"], ["unanswerable"], "z"]
    assert any(
        "2 rows left out, since the prompt or the completion is missing or blank" in note for note in found.notes
    )
    assert any("1 row without an answer: the completion is 'unanswerable'" in note for note in found.notes)
    with pytest.raises(DataError, match=r"line 1: column 'completion' should hold the completion.*got '5'"):
        read(tmp_path, [{"prompt": "a", "completion": 5}], columns=("prompt",), completion="completion")


def test_prompt_and_completion_that_meet_without_a_space_are_said(tmp_path):
    rows = [{"prompt": "the answer", "completion": "is x"}]
    found = read(tmp_path, rows, columns=("prompt",), completion="completion")
    assert any("meet without a space, as in 'the answer' and 'is x'" in note for note in found.notes)
    spaced = read(tmp_path, rows, columns=("prompt",), completion="completion", template="{prompt} {completion}")
    assert not any("meet without" in note for note in spaced.notes)


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{completion} {q}", "should stand once, at the very end"),
        ("{q} {completion}!", "should stand once, at the very end"),
        ("{q!r}", "name of a column and nothing else"),
        ("{q:>9}", "name of a column and nothing else"),
        ("{}", "name of a column and nothing else"),
        ("{q", "Write {column}"),
        ("no column", "every prompt would be the same"),
    ],
)
def test_template_that_cannot_be_read_is_refused(template, fault):
    with pytest.raises(ConfigError, match=fault):
        PromptTemplate(template, "completion")


def test_template_evaluates_nothing():
    with pytest.raises(KeyError):
        PromptTemplate("{q.__class__}", "c").fill({"q": "x"}, "y")
    assert PromptTemplate("{q.__class__}", "c").columns == ("q.__class__",)  # a column of that name, which no file has


def test_blank_part_of_a_prompt_stays_empty_and_is_counted(tmp_path):
    rows = [
        {"do": "sum", "x": "", "y": "a"},
        {"do": "add", "x": None, "y": "b"},
        {"do": " ", "x": "", "y": "c"},
        {"do": "q", "x": "z", "y": "d"},
    ]
    found = read(tmp_path, rows, columns=("do", "x"), completion="y", template="{do}: {x}\n{y}")
    assert [(row["do"], row["x"]) for row in found.rows] == [("sum", ""), ("add", ""), ("q", "z")]
    assert "2 rows with nothing in column 'x'; it is left empty in the prompt." in found.notes
    assert any("1 row left out, since the prompt or the completion is missing" in note for note in found.notes)
