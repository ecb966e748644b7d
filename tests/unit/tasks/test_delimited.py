import codecs

import pytest

from repdrift.core.errors import ConfigError, DataError
from repdrift.tasks import FileFormat, read_own_file
from repdrift.tasks.data_files import read_table

TEXTS = ["the cat sat, and ate", "a dog; a bird", "they\tran", "one | two", 'said "no" then']


def _write(tmp_path, content, name="x.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _texts(tmp_path, content, name="x.csv", column="text", **asked):
    return read_table(_write(tmp_path, content, name), file_format=FileFormat(**asked)).columns[column].values


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "X.CSV"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separator_is_found_from_the_whole_head(tmp_path, separator, name, end):
    rows = [separator.join([str(i), '"' + text.replace('"', '""') + '"', "x"]) for i, text in enumerate(TEXTS)]
    content = end.join([separator.join(["id", "text", "note"]), *rows]) + end
    assert _texts(tmp_path, content, name) == TEXTS
    notes = read_own_file(_write(tmp_path, content, name)).rows.notes
    said = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "'|'"}[separator]
    assert f"(separator: {said}); not used: id, note" in notes[0]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('text,label\n"one\ntwo",1\n"b",0\n', ["one\ntwo", "b"]),
        (
            'label,text\n0,"first line\nsecond, with a comma"\n1,b c\n1,d\n',
            ["first line\nsecond, with a comma", "b c", "d"],
        ),
        ("text,label\nabc,1\n\x1a", ["abc"]),
        ('text,label\nsaid "no" then,1\nb,0\n', ['said "no" then', "b"]),
        ("text,label,\na b,1,\nc,1,\n", ["a b", "c"]),
        ("text,label\na b,1,\nc,1,\n", ["a b", "c"]),
        ("text,label\n\na b,1\n\n\nc,1\n", ["a b", "c"]),
        (",text,label\n0,a b,1\n1,c,1\n", ["a b", "c"]),
        ('id, text\n1, "hello, world"\n2, abc\n', ["hello, world", "abc"]),
        ("sep=;\nid;text\n1;hello, world\n2;abc\n", ["hello, world", "abc"]),
        ("text\n" + "x" * 140_000 + "\n" + "y" * 300_000 + "\n", ["x" * 140_000, "y" * 300_000]),
        (codecs.BOM_UTF8 + b"text,label\nabc,1\n", ["abc"]),
        ("text,label\nabc \u00e9,1\n".encode("utf-16"), ["abc \u00e9"]),
        (codecs.BOM_UTF32_BE + "text,label\nabc \u00e9,1\n".encode("utf-32-be"), ["abc \u00e9"]),
    ],
)
def test_odd_files_are_read_as_they_were_meant(tmp_path, content, texts):
    assert _texts(tmp_path, content) == texts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text,label\na b,1\nc,d,0\n",
            r"line 3: expected 2 fields as in the header, got 3 \(separator: a comma\): 'c,d,0'",
        ),
        ('text,label\n"one\ntwo",1\nc\n', "line 4: expected 2 fields as in the header, got 1"),
        ("text\na\nb, c\n", r"line 3: 2 fields where the first line has one.*ending \.txt"),
        ('text,label\n"he said "hi" there",1\n', "line 2: not valid CSV.*must be doubled"),
        ('text,label\n"a",1\n"b\nc', "line 3: not valid CSV"),
        ("text,text\na,b\n", r"column 'text' is there twice \(columns 1 and 2\)"),
        ("id,text\n1,a b\nid,text\n2,c\n", "line 3: the names of the columns are there again"),
        ("a,b;c\n1,x;3\n4,y;6\n", "a comma and a semicolon cut every row.*--separator"),
        ("id~label~text\n1~0~a b\n", "looks like the names of 3 columns, but neither a comma.*--separator"),
        ("text,label\n", "is empty"),
        ("", "is empty"),
        (b"text,label\nabc,1\nd\xe9f,0\n", r"not UTF-8 text: byte 0xe9 in line 3 \(byte 18 .*--encoding"),
        ("text,label\nabc,1\n".encode("utf-16-le"), "full of NUL bytes, as UTF-16.*utf-16-le"),
    ],
)
def test_faults_are_named_with_line_and_remedy(tmp_path, content, message):
    with pytest.raises(DataError, match=f"(?s)x.csv.*{message}"):
        read_table(_write(tmp_path, content))


@pytest.mark.parametrize("separator", ["\t", ","])
def test_quote_that_never_closes_swallows_no_line(tmp_path, separator):
    content = 'text,label\n"open one,1\nb b,0\nand closed",1\nd d,0\n'.replace(",", separator)
    assert _texts(tmp_path, content) == ['"open one', "b b", 'and closed"', "d d"]
    assert (
        "Quotation marks are read as characters of the text, since they do not enclose whole fields."
        in read_table(tmp_path / "x.csv").notes
    )


def test_format_can_be_asked_for(tmp_path):
    assert _texts(tmp_path, "a,b;text\n1,2;x y\n", separator=";") == ["x y"]
    assert _texts(tmp_path, "a\ttext\n1\tx y\n", separator="tab") == ["x y"]
    assert _texts(tmp_path, b"text,label\nd\xe9f,0\n", encoding="cp1252") == ["d\u00e9f"]
    for wrong in ({"separator": "::"}, {"encoding": "klingon"}, {"separator": "\n"}):
        with pytest.raises(ConfigError):
            _texts(tmp_path, "text,label\nabc,1\n", **wrong)


@pytest.mark.parametrize("missing", ["", "  ", "NaN", "null", "None", "<NA>"])
def test_words_for_a_missing_value_are_no_texts(tmp_path, missing):
    notes = read_own_file(_write(tmp_path, f"text,label\nabc,1\n{missing},0\nd,1\n")).rows.notes
    word = f", as {missing!r} is" if missing.strip() else ""
    assert notes[1] == f"1 row left out, since the text is missing or blank{word}; the first is line 3."


@pytest.mark.parametrize(
    "content",
    [
        "the river is long and wide\na stone\na light\n",
        "great\nbad\ngood\n",
        "0,the river,1\n1,a stone,0\n",
        "the river,neg\na stone,pos\na light,neg\n",
        '"0","user","the river is long"\n"4","anna","a stone is grey"\n',
        '"The river."\n"A stone, and a light on the water."\n',
    ],
)
def test_first_text_is_never_taken_for_a_header(tmp_path, content):
    path = _write(tmp_path, content)
    with pytest.raises(DataError, match=r"x\.csv, line 1: does .* name the columns, or is it data\?.*--no-header"):
        read_own_file(path)
    table = read_table(path, file_format=FileFormat(header=False))
    assert len(table) == len(content.splitlines())
    column = next(
        name for name in table.columns if "river" in table.columns[name].values[0].lower() or len(table.columns) == 1
    )
    read = read_own_file(path, text_columns=[column], file_format=FileFormat(header=False)).rows
    assert len(read.rows) == len(content.splitlines())
    assert any("the first line is data" in note for note in read.notes)


def test_header_is_what_the_user_says_or_names(tmp_path):
    path = _write(tmp_path, "the river\na stone\na light\n")
    by_format = read_own_file(path, file_format=FileFormat(header=True))
    by_name = read_own_file(path, text_columns=["the river"])
    assert [row["the river"] for row in by_format.rows.rows] == ["a stone", "a light"]
    assert by_name.rows.rows == by_format.rows.rows
    usual = _write(tmp_path, "notiz\nthe river is long\na stone is grey\n")
    assert read_own_file(usual).spec.text_columns == ("notiz",), "short beside its lines, so a name"
