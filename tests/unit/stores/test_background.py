import threading
from types import SimpleNamespace

import pytest

from repdrift.stores.background import BackgroundQueue, FileFlusher


def test_queue_holds_no_more_than_its_bound_and_runs_in_order():
    queue, gate, ran = BackgroundQueue("test", limit_bytes=10), threading.Event(), []
    queue.put(lambda: (gate.wait(), ran.append(0)), 100)  # one always may
    put = threading.Thread(target=lambda: queue.put(lambda: ran.append(1), 5))
    put.start()
    put.join(0.05)
    assert put.is_alive()
    gate.set()
    put.join()
    queue.drain()
    queue.close()
    assert ran == [0, 1]


def test_queue_drops_what_waits_behind_a_job_that_failed():
    queue, gate, ran = BackgroundQueue("test"), threading.Event(), []
    queue.put(lambda: gate.wait() and 1 / 0, 1)
    queue.put(lambda: ran.append(1), 1)
    gate.set()
    for call in (queue.drain, lambda: queue.put(lambda: ran.append(2), 1)):
        with pytest.raises(ZeroDivisionError):
            call()
    queue.close()
    assert ran == []


def test_flusher_flushes_every_file_once_enough_is_written_and_keeps_its_error(monkeypatch):
    monkeypatch.setattr("repdrift.stores.background._FLUSH_EVERY_BYTES", 10)
    flushed, all_flushed = [], threading.Event()

    def flush(layer):
        flushed.append(layer)
        if layer == 3:
            all_flushed.set()
            raise OSError("the disk is gone")

    flusher = FileFlusher(SimpleNamespace(places=[1, 3], flush=flush))
    flusher.wrote(9)
    assert not all_flushed.wait(0.05)
    flusher.wrote(1)
    assert all_flushed.wait(5)
    flusher.stop()
    assert flushed == [1, 3]
    with pytest.raises(OSError, match="the disk is gone"):
        flusher.check()
