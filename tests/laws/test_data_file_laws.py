"""Laws of reading data: whatever texts a program writes into a file, the same texts are read from it."""

import csv
import io
import json
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repdrift.tasks import read_own_file

_ODD = st.sampled_from(
    [
        ",",
        ";",
        "\t",
        "|",
        '"',
        "\n",
        "\r\n",
        "\r",
        "\u2028",
        "\x85",
        "\x0c",
        "\x1c",
        "'",
        "\\",
        " ",
        "\U0001f600",
        "\ufffd",
        "[",
        "{",
    ]
)
_TEXTS = st.lists(
    st.lists(st.one_of(_ODD, st.sampled_from("abc \u00e9\u4e2d")), min_size=1).map(lambda p: "w" + "".join(p)),
    min_size=1,
    max_size=8,
)
_LAW = settings(max_examples=60, deadline=None)


def _read(name, content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [row["text"] for row in read_own_file(path, text_columns=["text"]).rows.rows]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@given(texts=_TEXTS, end=st.sampled_from(["\n", "\r\n"]))
@_LAW
def test_texts_of_a_csv_file_come_back(separator, texts, end):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([["id", "text", "label"], *([i, text, i % 2] for i, text in enumerate(texts))])
    assert _read("x.csv", stream.getvalue()) == texts


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@given(texts=_TEXTS)
@_LAW
def test_texts_that_pandas_writes_come_back(separator, texts):
    texts = [
        text.replace("\r", " ") for text in texts
    ]  # pandas writes it without quotation marks: such a row is refused
    frame = pd.DataFrame({"id": range(len(texts)), "text": texts, "label": [i % 2 for i in range(len(texts))]})
    assert _read("x.csv", frame.to_csv(sep=separator, index=False)) == texts


@given(texts=_TEXTS, ascii_only=st.booleans())
@_LAW
def test_texts_of_json_lines_come_back(texts, ascii_only):
    content = "".join(json.dumps({"text": text}, ensure_ascii=ascii_only) + "\n" for text in texts)
    assert _read("x.jsonl", content) == texts


@given(texts=_TEXTS, end=st.sampled_from(["\n", "\r\n", "\r"]))
@_LAW
def test_lines_of_a_text_file_come_back(texts, end):
    lines = [text.replace("\r", " ").replace("\n", " ") for text in texts]
    assert _read("x.txt", end.join(lines) + end) == lines
