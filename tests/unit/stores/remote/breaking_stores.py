"""Stores that break at a chosen write, as if the pushing process was killed there."""

from pathlib import Path

from repdrift.stores.remote import open_remote


class Killed(BaseException):
    """Nothing after it happens: every later write raises it too."""


def writes_of(remote, on_write):
    """Calls `on_write(number, name, path)` before every write to the store, counted from 0; returns the store."""
    count = -1

    def hooked(method, name_at):
        def call(*arguments):
            nonlocal count
            count += 1
            path = arguments[0] if isinstance(arguments[0], Path) else None
            on_write(count, arguments[name_at], path)
            return method(*arguments)

        return call

    remote.put = hooked(remote.put, 1)
    remote.put_content = hooked(remote.put_content, 0)
    remote.remove = hooked(remote.remove, 0)
    return remote


def dying_at(address, number, *, half_a_file=False):
    """A store whose writer dies before the write of this number, or in the middle of it if that is a file."""
    inner = open_remote(address)

    def die(count, name, path):
        if count == number and half_a_file and path is not None:
            content = path.read_bytes()
            inner._files.pipe_file(f"{inner._root}/{name}", content[: len(content) // 2])  # pyright: ignore
        if count >= number:
            raise Killed

    return writes_of(inner, die)
