import os
import signal
import subprocess
import sys
import threading
import time

from repdrift.training.run_claim import CLAIMS_FOLDER, run_claim


def test_only_one_holds_a_claim_and_nothing_is_left(tmp_path, capsys):
    with run_claim(tmp_path, "k" * 64, "sst2, lora, seed 1", wait=False) as mine:
        assert mine
        with run_claim(tmp_path, "k" * 64, "sst2, lora, seed 1", wait=False) as second:
            assert not second
        with run_claim(tmp_path, "x" * 64, "sst2, lora, seed 2", wait=False) as other_run:
            assert other_run
        order = []

        def wait_for_it():
            with run_claim(tmp_path, "k" * 64, "sst2, lora, seed 1", wait=True) as later:
                order.append(later)

        thread = threading.Thread(target=wait_for_it)
        thread.start()
        time.sleep(0.2)
        assert order == []
    thread.join(timeout=20)
    assert order == [True]
    assert f"being trained by process {os.getpid()} on " in capsys.readouterr().err
    assert list((tmp_path / CLAIMS_FOLDER).iterdir()) == []


def test_claim_of_a_process_that_was_killed_is_free(tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\nfrom repdrift.training.run_claim import run_claim\n"
            "with run_claim(Path(sys.argv[1]), 'k' * 64, 'run', wait=False):\n    print('held', flush=True)\n    time.sleep(60)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with run_claim(tmp_path, "k" * 64, "run", wait=False) as mine:
        assert not mine
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with run_claim(tmp_path, "k" * 64, "run", wait=False) as mine:
        assert mine
