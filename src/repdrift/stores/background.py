"""Work handed to one thread, in order, with a bound on the bytes that wait for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

DEFAULT_QUEUE_BYTES = 256 << 20


class BackgroundQueue:
    """Runs jobs one after the other on a thread of its own.

    The first job that fails ends it: what waits is dropped, and the error is raised from the next put() or drain().
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
        """Hand over a job that keeps `size` bytes alive. Waits while more than the bound would wait; one always may."""
        with self._change:
            self._change.wait_for(lambda: self._error or not self._jobs or self._bytes + size <= self._limit)
            self._raise()
            self._jobs.append((job, size))
            self._bytes += size
            self._change.notify_all()

    def drain(self) -> None:
        """Wait until every job is done."""
        with self._change:
            self._change.wait_for(lambda: self._error or not self._jobs)
            self._raise()

    def close(self) -> None:
        """Finish what waits and end the thread; an error is kept for drain() and not raised here."""
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
                job, size = self._jobs[0]  # it counts as waiting until it is done
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
