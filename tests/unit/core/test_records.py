import json

import pytest

from repdrift.core.errors import DataError
from repdrift.core.records.base import Record, library_versions


class _Small(Record):
    count: int
    name: str = "x"


def test_a_record_is_read_as_it_was_written(tmp_path):
    _Small(count=3).write(tmp_path / "small.json")
    assert _Small.read(tmp_path / "small.json") == _Small(count=3)


def test_every_fault_of_a_file_is_named_with_the_file(tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps({"count": "many", "namex": 1}))
    with pytest.raises(DataError) as caught:
        _Small.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is not a valid _Small file: count: ")
    assert "namex: unknown key; did you mean 'name'?" in message
    path.write_text("{")
    with pytest.raises(DataError, match="Invalid JSON"):
        _Small.read(path)
    with pytest.raises(DataError, match="does not exist"):
        _Small.read(tmp_path / "none.json")


def test_versions_name_the_libraries_that_are_here():
    assert {"torch", "numpy"} <= set(library_versions())
