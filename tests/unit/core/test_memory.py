import sys

import pytest

from repdrift.core import memory


def test_a_containers_limit_counts_where_it_is_lower(tmp_path, monkeypatch):
    assert memory._left_to_container(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 50\n")
    assert memory._left_to_container(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    assert memory._left_to_container(tmp_path) == 350
    monkeypatch.setattr(memory, "_left_to_container", lambda _: 5)
    if sys.platform.startswith("linux"):
        assert memory.available_memory_bytes() == 5
    else:
        assert memory.available_memory_bytes() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_free_memory_of_this_machine_is_between_a_megabyte_and_all_of_it():
    free = memory.available_memory_bytes()
    assert free is not None
    assert 1 << 20 < free < 1 << 50
