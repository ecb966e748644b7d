import gzip
import json

import pytest

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.tasks import read_own_file, spec_of_file


def test_text_columns_are_found_or_asked_for(tmp_path):
    path = tmp_path / "my data.csv"
    path.write_text("id,question,context\n1,a ?,b\n", encoding="utf-8")
    assert spec_of_file(path).text_columns == ("question", "context")
    assert spec_of_file(path).name == "my_data"
    path.write_text("one,two\nthe cat,the dog\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"which column holds the text\? It has one, two \(separator: a comma\)"):
        spec_of_file(path)
    assert spec_of_file(path, text_columns=["two"]).text_columns == ("two",)
    with pytest.raises(UnknownNameError, match="three"):
        spec_of_file(path, text_columns=["three"])


def test_numbers_are_no_texts(tmp_path):
    path = tmp_path / "numbers.jsonl"
    path.write_text('{"text": 1}\n')
    with pytest.raises(DataError, match=r"It has text \(no text: numbers\)"):
        spec_of_file(path)


def _file(tmp_path, rows, name="x.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_kind_of_a_column_is_that_of_all_its_rows(tmp_path):
    rows = [{"a": 1, "b": None}, {"a": "one", "b": "the cat"}, {"a": 2, "b": "a dog"}]
    assert spec_of_file(_file(tmp_path, rows)).text_columns == ("b",), "the first row has a number and nothing"
    with pytest.raises(DataError, match="line 2: column 'text' should be a text, got 5"):
        read_own_file(_file(tmp_path, [{"text": "the cat"}, {"text": 5}]))
    assert spec_of_file(_file(tmp_path, [{"id": "u1", "label": "good", "review": "the cat"}])).text_columns == (
        "review",
    )
    path = tmp_path / "x.csv"
    path.write_text("id;stars;Beschreibung\n1;5;the cat\n2;4;a dog\n")
    assert spec_of_file(path).text_columns == ("Beschreibung",), "columns of numbers are no texts"


@pytest.mark.parametrize("missing", [None, "", "  \n", float("nan"), "\u200b"])
def test_rows_without_text_are_left_out_and_counted(tmp_path, missing):
    rows = [{"text": "the cat"}, {"text": missing}, {"text": "a dog"}, {}, {"text": missing}]
    read = read_own_file(_file(tmp_path, rows)).rows
    assert [row["text"] for row in read.rows] == ["the cat", "a dog"]
    assert read.notes == (
        "The text is column 'text' of x.jsonl. 2 rows read; the first is 'the cat'.",
        "3 rows left out, since the text is missing or blank; the first is line 2.",
    )
    with pytest.raises(DataError, match="no row has a text in column 'text' .2 rows, the first is line 1"):
        read_own_file(_file(tmp_path, [{"text": ""}, {"text": " "}]))


def test_pair_that_lacks_one_text_is_left_out(tmp_path):
    rows = [{"question": "a ?", "context": "the cat"}, {"question": "b ?", "context": ""}]
    read = read_own_file(_file(tmp_path, rows)).rows
    assert len(read.rows) == 1
    assert "1 row left out, since a text is missing or blank; the first is line 2." in read.notes


def test_columns_and_an_example_are_said(tmp_path):
    rows = [{"instruction": "x " * 100, "input": "", "output": "done"}]
    first = read_own_file(_file(tmp_path, rows)).rows.notes[0]
    assert first.startswith(
        "The text is column 'instruction' of x.jsonl; not used: input, output. 1 row read; the first is 'x x"
    )
    assert first.endswith("x...'.")
    assert 60 < len(first.split("the first is ")[1]) < 70


def test_chats_are_joined_with_a_word_on_it(tmp_path):
    turns = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": [{"text": "you"}]},
    ]
    rows = [{"messages": missing, "source": "some where"} for missing in ([], None, float("nan"))] + [
        {"messages": turns, "source": "else where"}
    ]
    read = read_own_file(_file(tmp_path, rows)).rows
    assert [row["messages"] for row in read.rows] == ["hello\nyou"]
    assert any("without the model's chat template" in note for note in read.notes)
    shared = [{"conversations": [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "you"}]}]
    assert read_own_file(_file(tmp_path, shared)).rows.rows[0]["conversations"] == "hello\nyou"
    preferred = [{"chosen": turns, "rejected": turns, "score": 1}]
    with pytest.raises(
        DataError, match=r"It has chosen \(chat turns\), rejected \(chat turns\), score \(no text: numbers\)"
    ):
        read_own_file(_file(tmp_path, preferred))
    picture = [{"messages": [{"role": "user", "content": [{"type": "image"}]}]}]
    with pytest.raises(DataError, match="line 1: a turn of the chat holds something other than text"):
        read_own_file(_file(tmp_path, picture))


def test_lists_of_words_are_refused_with_a_next_step(tmp_path):
    path = _file(tmp_path, [{"tokens": ["the", "cat"]}])
    with pytest.raises(DataError, match="tokens .no text: lists"):
        read_own_file(path)
    with pytest.raises(DataError, match="line 1: column 'tokens' should be a text, got .*Join the parts"):
        read_own_file(path, text_columns=["tokens"])


def test_texts_that_hardly_are_texts_are_said(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("1\n2\n")
    assert read_own_file(path).rows.notes[1:] == ("Every line is a number.",)
    chats = [{"messages": str([{"role": "user", "content": "hello"}])}] * 2
    assert any("was written as text" in note for note in read_own_file(_file(tmp_path, chats)).rows.notes)


def test_damage_is_named(tmp_path):
    rows = [{"text": "the \ufffd cat"}, {"text": "a \0 dog"}, {"text": "nan"}, {"text": "emoji \U0001f600"}]
    notes = read_own_file(_file(tmp_path, rows)).rows.notes
    assert [note.split(",")[0] for note in notes[1:]] == [
        "1 text in column 'text' with U+FFFD",
        "1 text in column 'text' with NUL characters.",
        "1 text in column 'text' with nothing but 'nan'",
    ]
    with pytest.raises(
        DataError, match=r"line 5: column 'text' holds half a character at position 2 \(the surrogate \\ude00"
    ):
        read_own_file(_file(tmp_path, [*rows, {"text": "a \ude00"}]))


def test_half_characters_beside_the_text_do_no_harm(tmp_path):
    rows = [{"text": "the cat", "i\ud83d": "a", "id": "x\ud83d"}]
    assert "i\\ud83d" in read_own_file(_file(tmp_path, rows)).rows.notes[0]
    with pytest.raises(DataError, match="line 1: column 'id' holds half a character"):
        read_own_file(_file(tmp_path, rows), id_column="id")


def test_ids_are_texts_or_whole_numbers(tmp_path):
    rows = [{"text": "the cat", "id": 1.0}, {"text": "a dog", "id": "b"}]
    assert [r["id"] for r in read_own_file(_file(tmp_path, rows), id_column="id").rows.rows] == [1, "b"]
    for wrong in (None, 1.5, "", True, [1]):
        with pytest.raises(DataError, match="line 2: column 'id' should name each row"):
            read_own_file(_file(tmp_path, [rows[0], {"text": "a dog", "id": wrong}]), id_column="id")


@pytest.mark.parametrize(("file", "name"), [("my.data.jsonl", "my.data"), ("a b.jsonl.gz", "a_b"), ("ds.v2", "ds.v2")])
def test_task_has_the_name_of_its_file(tmp_path, file, name):
    content = b'{"text": "the cat"}\n'
    path = tmp_path / file
    if "jsonl" in file:
        path.write_bytes(gzip.compress(content) if file.endswith("gz") else content)
    else:
        path.mkdir()
        (path / "x.jsonl").write_bytes(content)
    assert spec_of_file(path).name == name, "the choice of samples depends on it"


def test_what_turns_hold_beside_their_text_is_said(tmp_path):
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    turns = [{"role": "user", "content": "the cat"}, call, {"role": "assistant", "content": "a dog", "reasoning": "so"}]
    both = {
        "from": "human",
        "value": "one bird",
        "role": None,
        "content": None,
    }  # as parquet unites two ways of writing
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in (turns, [both])))
    read = read_own_file(path).rows
    assert [row["messages"] for row in read.rows] == ["the cat\na dog", "one bird"]
    said = "1 row of 2 with turns that hold more than role and text; what stands under 'reasoning', 'tool_calls' is not read."
    assert said in read.notes
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "a", "value": "b"}]}) + "\n")
    with pytest.raises(DataError, match="line 1: a turn of the chat has both a content and a value"):
        read_own_file(path)


def test_rows_that_look_like_comments_are_said(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,text\n1,the cat\n# 2 rows, the end\n2,a dog\n")
    read = read_own_file(path).rows
    assert [row["text"] for row in read.rows] == ["the cat", " the end", "a dog"]
    assert (
        "Read as rows like all others, though they begin with '# ' as comments do: 1 row; the first is line 3."
        in read.notes
    )
