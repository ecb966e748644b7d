import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from repdrift.core.errors import DataError
from repdrift.tasks import read_own_file
from repdrift.tasks.data_files import read_table

TEXTS = ["the cat", "a dog", None, "they ran"]


@pytest.mark.parametrize(
    "values",
    [pa.array(TEXTS), pa.array(TEXTS, pa.large_string()), pa.array(TEXTS).dictionary_encode()],
    ids=["string", "large", "dictionary"],
)
@pytest.mark.parametrize("name", ["x.parquet", "X.PARQUET", "x.arrow", "x.feather"])
def test_texts_of_every_type_are_read(tmp_path, values, name):
    table = pa.table({"text": values, "pair": pa.array([{"a": 1}] * 4), "parts": pa.array([["b"]] * 4)})
    path = tmp_path / name
    if name == "x.feather":
        pyarrow.feather.write_feather(table, str(path))
    elif name == "x.arrow":
        with pa.ipc.new_stream(str(path), table.schema) as sink:
            sink.write_table(table)
    else:
        pyarrow.parquet.write_table(table, path)
    read = read_own_file(path).rows
    assert [row["text"] for row in read.rows] == ["the cat", "a dog", "they ran"]
    assert "1 row left out, since the text is missing or blank; the first is row 3." in read.notes
    assert read_table(path).described() == "text, pair (no text: objects), parts (no text: lists)"


def test_bytes_that_are_no_text_are_named(tmp_path):
    broken = pa.array([b"the cat", b"a \xff dog"]).view(pa.string())
    with pa.ipc.new_file(str(tmp_path / "x.arrow"), pa.schema({"text": pa.string()})) as sink:
        sink.write_table(pa.table({"text": broken}))
    with pytest.raises(DataError, match="x.arrow, column 'text' holds bytes that are not UTF-8 text"):
        read_own_file(tmp_path / "x.arrow")


def test_categories_and_the_index_of_pandas(tmp_path):
    frame = pd.DataFrame({"text": pd.Categorical(["a b", "c d"]), "n": [1.5, None]}, index=[7, 9])
    frame.to_parquet(tmp_path / "x.parquet")
    assert list(read_table(tmp_path / "x.parquet").columns) == ["text", "n"]
    assert read_own_file(tmp_path / "x.parquet").rows.rows == [{"text": "a b"}, {"text": "c d"}]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"text": pa.array([], pa.string())}), "is empty"),
        (pa.table({"text": pa.array([b"a"])}), r"It has text \(no text: binary\)"),
        (pa.table({"text": pa.array([None, None])}), r"It has text \(no text: nothing\)"),
        (pa.Table.from_arrays([pa.array(["a"])] * 2, names=["text", "text"]), "column 'text' is there twice"),
    ],
)
def test_other_tables_are_named(tmp_path, table, message):
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match=message):
        read_own_file(tmp_path / "x.parquet")
    (tmp_path / "x.arrow").write_bytes(b"ARROW1 no")
    with pytest.raises(DataError, match="not a readable Arrow file"):
        read_own_file(tmp_path / "x.arrow")
