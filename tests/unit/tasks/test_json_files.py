import json

import pytest

from repdrift.core.errors import DataError
from repdrift.tasks.data_files import read_table

ROWS = [{"text": "the cat"}, {"text": "a dog \u2028 ran"}]


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.ndjson"])
@pytest.mark.parametrize(
    "content",
    [
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
        "\r".join(json.dumps(row) for row in ROWS),
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps({"version": 1, "data": ROWS}, indent=2),
        json.dumps({"text": [row["text"] for row in ROWS]}, indent=2),
        json.dumps([row["text"] for row in ROWS]),
        "".join(json.dumps(row["text"]) + "\n" for row in ROWS),
    ],
)
def test_rows_are_found_however_they_are_written(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_table(path).columns["text"].values == [row["text"] for row in ROWS]


@pytest.mark.parametrize("content", [{"data": ROWS}, {"text": [row["text"] for row in ROWS]}])
def test_one_line_is_the_whole_of_a_json_file_and_one_row_of_jsonl(tmp_path, content):
    for name in ("x.json", "x.jsonl"):
        (tmp_path / name).write_text(json.dumps(content))
    assert read_table(tmp_path / "x.json").columns["text"].values == [row["text"] for row in ROWS]
    assert len(read_table(tmp_path / "x.jsonl")) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"text": {"0": "a", "1": "b"}}',
            "one JSON object with 'text'; expected an object on each line.*orient='records'",
        ),
        ('[{"text": "a"}, 5]', "row 2: expected a JSON object, got int"),
        ('{"text": "a"}\n{"text": "b"', "line 2: not valid JSON"),
        ('{"text": "a"}\n{"text": "b", "text": "c"}', "line 2: not valid JSON .the key 'text' is there twice"),
        ("[]", "is empty"),
    ],
)
def test_other_content_is_named(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=f"x.json.*{message}"):
        read_table(tmp_path / "x.json")


def test_a_comma_too_many_in_an_array_is_found_where_it_stands(tmp_path):
    (tmp_path / "x.json").write_text('[\n{"text": "a"},\n{"text": "b"},\n]')
    with pytest.raises(DataError, match="not a valid JSON array .*line 4, column 1: a comma stands before it"):
        read_table(tmp_path / "x.json")
