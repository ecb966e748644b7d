import pytest

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.tasks import spec_of_file


def test_text_columns_are_found_or_asked_for(tmp_path):
    path = tmp_path / "my data.csv"
    path.write_text("id,question,context\n1,a ?,b\n", encoding="utf-8")
    assert spec_of_file(path).text_columns == ("question", "context")
    assert spec_of_file(path).name == "my_data"
    path.write_text("one,two\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"which column holds the text\? It has one, two"):
        spec_of_file(path)
    assert spec_of_file(path, text_columns=["two"]).text_columns == ("two",)
    with pytest.raises(UnknownNameError, match="three"):
        spec_of_file(path, text_columns=["three"])


def test_numbers_are_no_texts(tmp_path):
    path = tmp_path / "numbers.jsonl"
    path.write_text('{"text": 1}\n')
    with pytest.raises(DataError, match=r"It has text \(no text: int\)"):
        spec_of_file(path)
