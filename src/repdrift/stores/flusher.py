"""Sends what is written to the disk while more is computed: left to itself, the system begins only gigabytes later."""

from __future__ import annotations

import threading

from repdrift.stores.layer_files import LayerFiles

_EVERY_BYTES = 64 << 20


class Flusher:
    """A thread that flushes the files of a set, one after the other, whenever enough was written since the last time.

    Nobody waits for it. A fault of the disk that it meets is kept: the system tells of each only once.
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
        """Note `size` more bytes in the files. Raises what an earlier flush met."""
        with self._change:
            self._unflushed += size
            self._change.notify()
        self.check()

    def check(self) -> None:
        """Raise what a flush met."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread, after the file that it is at."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            while True:
                with self._change:
                    self._change.wait_for(lambda: self._closed or self._unflushed >= _EVERY_BYTES)
                    self._unflushed = 0
                for layer in self._files.layers:
                    if self._closed:
                        return
                    self._files.flush(layer)
        except BaseException as error:  # raised again by wrote() and check()
            self._error = error
