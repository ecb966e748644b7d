"""The base model's states on disk: made once, also where several commands need them at the same time."""

import threading
import time

from repdrift.outcomes.base_states import StatesOnDisk, made_once


def test_two_commands_that_need_the_same_states_make_them_one_after_the_other(tmp_path):
    at_work, most = [], []

    def make():
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.1)
        at_work.pop()

    threads = [threading.Thread(target=made_once, args=(StatesOnDisk(tmp_path, "k" * 64), make)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1, 1, 1], "nothing was finished, so each made them, but never two at once"
    assert list(tmp_path.iterdir()) == []
