import json

import pytest

from repdrift.core.errors import DataError
from repdrift.core.records.base import CHECKSUM_KEY, Record, library_versions


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


@pytest.mark.parametrize("position", range(0, 120, 7))
def test_a_changed_byte_is_noticed(tmp_path, position):
    path = tmp_path / "small.json"
    _Small(count=314159, name="a name that is long enough").write(path)
    data = bytearray(path.read_bytes())
    if position >= len(data):
        return
    data[position] ^= 1
    path.write_bytes(data)
    try:
        found = _Small.read(path)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017 (a byte between the entries may change nothing)
    else:
        assert found == _Small(count=314159, name="a name that is long enough")


def test_a_changed_digit_is_named_with_a_next_step(tmp_path):
    path = tmp_path / "small.json"
    _Small(count=314).write(path)
    path.write_text(path.read_text().replace("314", "315"))
    with pytest.raises(DataError, match=r"small\.json was changed or damaged after it was written.*Restore it"):
        _Small.read(path)


def test_layout_and_order_are_no_content_and_older_files_have_no_checksum(tmp_path):
    path = tmp_path / "small.json"
    _Small(count=3, name="ü\u2028").write(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert _Small.read(path) == _Small(count=3, name="ü\u2028")
    del content[CHECKSUM_KEY]
    path.write_text(json.dumps(content))
    assert _Small.read(path) == _Small(count=3, name="ü\u2028")


@pytest.mark.parametrize(
    "text", ['{"count": NaN, "content_sha256": "0"}', '{"count": 1e999, "content_sha256": "0"}', "[" * 100_000, "\xff"]
)
def test_text_that_no_record_has_is_refused(tmp_path, text):
    path = tmp_path / "small.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"small\.json is not a valid _Small file"):
        _Small.read(path)


def test_versions_name_the_libraries_that_are_here():
    assert {"torch", "numpy"} <= set(library_versions())


def test_a_record_larger_than_any_is_not_read(tmp_path):
    path = tmp_path / "small.json"
    with path.open("wb") as stream:
        stream.truncate(200 << 20)  # takes no room on the disk
    with pytest.raises(DataError, match=r"small\.json has 209,715,200 bytes; a record has 134,217,728 at most"):
        _Small.read(path)
