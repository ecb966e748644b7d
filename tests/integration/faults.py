"""Faults of single files: each takes the path of a file, and another file of its kind (or None), and does its damage."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

_DIGIT = re.compile(rb"(?<=\d)\d(?=\d)")


def _flip_at(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[min(int(len(data) * share), len(data) - 1)] ^= 1 << (len(data) % 7)
    path.write_bytes(data)


def flip(path, _other):
    _flip_at(path, 2 / 3)


def flip_first_byte(path, _other):
    _flip_at(path, 0)


def flip_head(path, _other):
    _flip_at(path, 0.02)


def flip_last_byte(path, _other):
    _flip_at(path, 1)


def flip_keeping_times(path, _other):
    stat = path.stat()
    _flip_at(path, 1 / 2)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def change_digit(path, _other):
    """A digit in the middle of a number becomes another; a file without one is flipped."""
    data = path.read_bytes()
    found = list(_DIGIT.finditer(data))
    if not found:
        return _flip_at(path, 1 / 3)
    at = found[len(found) // 2].start()
    return path.write_bytes(data[:at] + bytes([48 + (data[at] - 48 + 1) % 10]) + data[at + 1 :])


def truncate(path, _other):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_last_byte(path, _other):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path, _other):
    path.write_bytes(b"")


def append(path, _other):
    path.write_bytes(path.read_bytes() + b"\n0")


def zeros(path, _other):
    """A sparse file of the right size, as a copy that lost its content leaves it."""
    size = path.stat().st_size
    path.unlink()
    path.touch()
    os.truncate(path, size)


def delete(path, _other):
    path.unlink()


def exchange(path, other):
    if other is not None:
        path.write_bytes(other.read_bytes())


def rename_case(path, _other):
    path.rename(path.with_name(path.name.swapcase()))


def folder_in_place(path, _other):
    path.unlink()
    path.mkdir()


def link_to_other(path, other):
    if other is not None:
        path.unlink()
        path.symlink_to(other)


def link_to_nothing(path, _other):
    path.unlink()
    path.symlink_to("gone")


def link_to_itself(path, _other):
    path.unlink()
    path.symlink_to(path.name)


def pipe_in_place(path, _other):
    path.unlink()
    os.mkfifo(path)


def unreadable(path, _other):
    path.chmod(0)


CLASSES = {
    "other content": [flip, change_digit, flip_first_byte, zeros, flip_last_byte, flip_head, flip_keeping_times],
    "another length": [truncate, empty, append, cut_last_byte],
    "another file's content": [exchange, link_to_other],
    "no such file": [delete, link_to_nothing, rename_case],
    "no regular file": [folder_in_place, pipe_in_place, link_to_itself],
    "may not be read": [unreadable],
}
FAULTS = [fault for faults in zip_longest(*CLASSES.values()) for fault in faults if fault is not None]
"""All faults, so that the first six are of six classes."""

_VERSION_3 = 0x20080522
_MAY_READ_ALL = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of Linux."""


@contextmanager
def obeying_modes() -> Iterator[None]:
    """While it is open, the system refuses this thread, and those that it starts, what a file's mode forbids, also for root."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    before = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0, os.strerror(ctypes.get_errno())
    fewer = (ctypes.c_uint32 * 6)(*before)
    fewer[0] &= ~_MAY_READ_ALL  # the first word is the effective set
    assert libc.capset(header, fewer) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0, os.strerror(ctypes.get_errno())
