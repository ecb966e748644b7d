import platform
import subprocess
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library gives memory back in its own way")
def test_freed_memory_between_blocks_that_are_in_use_goes_back():
    """100 MB of blocks that glibc keeps, since every tenth one, and the last, are still in use."""
    script = """
import ctypes, os
from repdrift.core.memory import give_back_freed
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
blocks = [libc.malloc(100_000) for _ in range(1000)]
for block in blocks:
    ctypes.memset(block, 1, 100_000)
for at, block in enumerate(blocks[:-1]):
    if at % 10:
        libc.free(block)
kept = resident()
give_back_freed()
print(kept - resident())
"""
    freed = int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)
    assert 70e6 < freed < 100e6
