"""A set taken away, whatever state it is in, and nothing else."""

import pytest

from repdrift.core.errors import MissingRunError
from repdrift.stores import discard_set, open_set
from tests.unit.stores.small_sets import batch, write_all, writer_of


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_set_and_its_folder_are_gone(tmp_path, state):
    with writer_of(tmp_path / "sets" / "made") as writer:
        if state == "finished":
            write_all(writer)
        else:
            writer.write_batch(0, *batch(0))
    assert discard_set(tmp_path / "sets" / "made")
    assert list((tmp_path / "sets").iterdir()) == []
    assert not discard_set(tmp_path / "sets" / "made")


def test_what_is_not_the_sets_stays(tmp_path):
    with writer_of(tmp_path / "made") as writer:
        write_all(writer)
    (tmp_path / "made" / "notes.txt").write_text("mine")
    assert discard_set(tmp_path / "made")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["notes.txt"]
    assert not discard_set(tmp_path / "made")


def test_empty_folder_is_taken_away(tmp_path):
    (tmp_path / "made").mkdir()
    assert not discard_set(tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_a_set_opens_by_the_text_of_its_path(tmp_path):
    with pytest.raises(MissingRunError, match="no representation set at"):
        open_set(str(tmp_path / "absent"))
