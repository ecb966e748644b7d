import bz2
import gzip
import json
import lzma

import pytest

from repdrift.core.errors import ConfigError, DataError
from repdrift.tasks import FileFormat, task
from repdrift.tasks.checked_rows import checked_rows
from repdrift.tasks.data_files import read_table


def read_rows(path, spec):
    return checked_rows(read_table(path, named=spec.columns), spec)[0]


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
        ('{"sentence": "the cat", "label": -1, "idx": 0}\n', "got -1 .*no label.*GLUE"),
        ('{"sentence": "the cat", "label": 1, "idx": null}\n', "line 1: column 'idx' should name each row .*got none"),
        (
            '{"sentence": "the cat \\ud83d", "label": 1, "idx": 0}\n',
            r"line 1: column 'sentence' holds half a character.*ud83d.*cut inside",
        ),
        ("[" * 100000 + "\n", "not a valid JSON array"),
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
    with pytest.raises(DataError, match="not UTF-16-LE text"):
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


def test_lines_end_at_three_ends_and_at_nothing_else(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes("a\u2028b\n\nc\x0cd\x85e\r\nf\rg\x1c\x1d\x1eh\u2029\n  \n".encode())
    table = read_table(path)
    assert table.columns["text"].values == ["a\u2028b", "c\x0cd\x85e", "f", "g\x1c\x1d\x1eh\u2029"]
    assert list(table.numbers) == [1, 3, 4, 5]
    assert table.notes == ("2 lines without text left out; the first is line 2.",)


def test_tabs_in_every_line_are_said(tmp_path):
    notes = read_table(_sst2(tmp_path, "ham\thello\nspam\twin\n", "x.txt")).notes
    assert notes == ("Every line holds 1 tab: if they separate columns, give the file the ending .tsv.",)


def test_texts_that_are_json_objects_are_not_read_as_texts(tmp_path):
    with pytest.raises(DataError, match=r"line 1: the lines are JSON objects.*\.jsonl"):
        read_table(_sst2(tmp_path, ROW, "x.txt"))


@pytest.mark.parametrize(
    ("name", "pack"), [("x.csv.gz", gzip.compress), ("X.CSV.BZ2", bz2.compress), ("x.csv.xz", lzma.compress)]
)
def test_packed_files_are_read(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(b"text,label\nthe cat,1\n"))
    assert read_table(path).columns["text"].values == ["the cat"]
    path.write_bytes(pack(b"text,label\nthe cat,1\n" * 100)[:-12])
    with pytest.raises(DataError, match=f"{name} cannot be unpacked"):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "hint"), [("x.xlsx", "as csv"), ("x.pkl", "never loaded"), ("x.zip", "Unpack"), ("x", "ending ''")]
)
def test_other_endings_are_refused_with_a_next_step(tmp_path, name, hint):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(DataError, match=f"(?s)expected one of .txt, .csv.*|{hint}") as refused:
        read_table(tmp_path / name)
    assert hint in str(refused.value)


def test_format_that_a_file_does_not_have_is_refused(tmp_path):
    path = _sst2(tmp_path, ROW)
    with pytest.raises(ConfigError, match="separator and header are of csv"):
        read_table(path, file_format=FileFormat(separator=";"))


def test_file_that_the_system_does_not_give_is_named(tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError("Permission denied")

    path = _sst2(tmp_path, ROW)
    monkeypatch.setattr(type(path), "read_bytes", refused)
    with pytest.raises(DataError, match="validation.jsonl cannot be read: Permission denied"):
        read_table(path)


@pytest.mark.parametrize(
    ("written", "asked"),
    [("utf-8", "latin-1"), ("utf-8", "cp1252"), ("utf-8-sig", "utf-16"), ("utf-16", "utf-8"), ("utf-16", "latin-1")],
)
def test_another_encoding_than_the_one_asked_for_is_not_read_as_it(tmp_path, written, asked):
    (tmp_path / "x.txt").write_bytes("the café\nthe cat\n".encode(written))
    with pytest.raises(ConfigError, match=f"would be read wrongly as '{asked}'"):
        read_table(tmp_path / "x.txt", file_format=FileFormat(encoding=asked))


@pytest.mark.parametrize(
    ("written", "asked"),
    [("latin-1", "latin1"), ("cp1252", "cp1252"), ("utf-8-sig", "utf8"), ("utf-8", "utf-8-sig"), ("utf-16", "utf_16"),
     ("utf-16-le", "utf-16-le"), ("utf-32", "utf-32"), ("gb18030", "gb18030")],
)  # fmt: skip
def test_the_encoding_asked_for_is_read(tmp_path, written, asked):
    (tmp_path / "x.txt").write_bytes("the café\nthe cat\n".encode(written))
    table = read_table(tmp_path / "x.txt", file_format=FileFormat(encoding=asked))
    assert table.columns["text"].values == ["the café", "the cat"]


@pytest.mark.parametrize("name", ["punycode", "utf-8\0", "no-such"])
def test_an_unknown_encoding_is_named(tmp_path, name):
    (tmp_path / "x.csv").write_text("text,label\na b,1\n")
    with pytest.raises(ConfigError, match="is not known"):
        read_table(tmp_path / "x.csv", file_format=FileFormat(encoding=name))
