"""Two threads that work while the model computes: one writes batches, one sends what is written to the disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from repdrift.stores.layer_files import LayerFiles

DEFAULT_QUEUE_BYTES = 256 << 20
_FLUSH_EVERY_BYTES = 64 << 20


class BackgroundQueue:
    """Runs jobs one after the other on a thread of its own; the bytes that wait for it have a limit.

    The first job that fails ends the queue: jobs that wait are dropped, and the next put() or drain() raises the error.
    """

    def __init__(self, name: str, *, limit_bytes: int = DEFAULT_QUEUE_BYTES) -> None:
        self._limit = limit_bytes
        self._jobs: deque[tuple[Callable[[], None], int]] = deque()
        self._bytes = 0
        self._closed = False
        self._error: BaseException | None = None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, job: Callable[[], None], size: int) -> None:
        """Queue a job that keeps `size` bytes in memory. Waits while the limit would be exceeded; one job may always wait."""
        with self._change:
            self._change.wait_for(lambda: self._error or not self._jobs or self._bytes + size <= self._limit)
            self._raise()
            self._jobs.append((job, size))
            self._bytes += size
            self._change.notify_all()

    def drain(self) -> None:
        """Wait until every job is done. Raises the error of a job that failed."""
        with self._change:
            self._change.wait_for(lambda: self._error or not self._jobs)
            self._raise()

    def close(self) -> None:
        """Run the jobs that wait and end the thread. Raises nothing: an error is kept for drain()."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                job, size = self._jobs[0]  # the job counts as waiting until it is done
            try:
                job()
            except BaseException as error:
                with self._change:
                    self._error = error
                    self._jobs.clear()
                    self._change.notify_all()
                return
            del job
            with self._change:
                self._jobs.popleft()
                self._bytes -= size
                self._change.notify_all()


class FileFlusher:
    """Flushes the files of a set to the disk, one after the other, each time that enough was written since the last flush.

    Left to itself, the system starts to write only gigabytes later. Nobody waits for this thread. It keeps an error of the
    disk until check(): the system reports each error only once.
    """

    def __init__(self, files: LayerFiles) -> None:
        self._files = files
        self._unflushed = 0
        self._closed = False
        self._error: BaseException | None = None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="repdrift-flush", daemon=True)
        self._thread.start()

    def wrote(self, size: int) -> None:
        """Count `size` more bytes in the files. Raises the error of an earlier flush."""
        with self._change:
            self._unflushed += size
            self._change.notify()
        self.check()

    def check(self) -> None:
        """Raise the error of an earlier flush, if there was one."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread after the file that it is flushing."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            while True:
                with self._change:
                    self._change.wait_for(lambda: self._closed or self._unflushed >= _FLUSH_EVERY_BYTES)
                    self._unflushed = 0
                for place in self._files.places:
                    if self._closed:
                        return
                    self._files.flush(place)
        except BaseException as error:  # raised again by wrote() and check()
            self._error = error
