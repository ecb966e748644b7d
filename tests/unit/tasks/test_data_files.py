import json

import pytest

from repdrift.core.errors import DataError
from repdrift.tasks import task
from repdrift.tasks.data_files import read_rows


def _sst2(tmp_path, text, name="validation.jsonl"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


ROW = '{"sentence": "the cat sat", "label": 1, "idx": 0}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (ROW + "{not json}\n", "line 2: not valid JSON"),
        (ROW + "[1, 2]\n", "line 2: expected a JSON object, got list"),
        ('{"text": "the cat", "label": 1, "idx": 0}\n', "line 1: column 'sentence' is not there.*--text-column"),
        ('{"sentence": "", "label": 1, "idx": 0}\n', "line 1: column 'sentence' should be a text"),
        ('{"sentence": 5, "label": 1, "idx": 0}\n', "line 1: column 'sentence' should be a text, got 5"),
        ('{"sentence": "the cat", "label": 2, "idx": 0}\n', "should be 0 to 1, got 2"),
        ('{"sentence": "the cat", "label": null, "idx": 0}\n', "should be 0 to 1, got None"),
        ('{"sentence": "the cat", "label": true, "idx": 0}\n', "should be 0 to 1, got True"),
    ],
)
def test_malformed_file_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(DataError, match=f"(?s)validation.jsonl.*{message}"):
        read_rows(_sst2(tmp_path, text), task("sst2"))


def test_csv_with_a_field_too_few_is_named_with_its_line(tmp_path):
    with pytest.raises(DataError, match=r"x\.csv, line 3: expected 3 fields"):
        read_rows(_sst2(tmp_path, "sentence,label,idx\nthe cat,1,0\nthe dog,1\n", "x.csv"), task("sst2"))


def test_text_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_rows(path, task("sst2"))


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 this is not parquet")
    with pytest.raises(DataError, match="not a readable parquet"):
        read_rows(path, task("sst2"))


def test_answer_that_does_not_stand_where_it_should_is_refused(tmp_path):
    row = {
        "id": "1",
        "question": "who sat ?",
        "context": "the cat sat",
        "answers": {"text": ["cat"], "answer_start": [3]},
    }
    with pytest.raises(DataError, match="'cat' is not at character 3"):
        read_rows(_sst2(tmp_path, json.dumps(row)), task("squad_v2"))
