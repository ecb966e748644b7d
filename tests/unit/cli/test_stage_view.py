"""One line a stage on the screen; every other message in the log, also those of other libraries."""

import io
import subprocess
import sys

import pytest

from repdrift.cli import stage_view
from repdrift.cli.stage_view import stages_on_screen
from repdrift.core.errors import StorageError
from repdrift.core.hidden_secrets import remember_secrets
from repdrift.core.progress import Bar, say, say_stage, say_step


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def _two_stages():
    with Bar("before any stage", 1) as bar:
        bar.advance()
    say_stage(1, 2, "training")
    for number in (1, 2, 3):
        with Bar("steps", 2) as bar:
            bar.advance(2)
        say_step(number, 3, "models", f"model {number} is trained")
    say_stage(2, 2, "figures")
    say("drawing")


def test_a_stage_is_one_line_and_every_message_is_in_the_log(tmp_path, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with stages_on_screen(tmp_path / "log"):
        _two_stages()
        sys.stdout.write("a library talks\n")
        sys.stderr.write("a library warns\n")
    assert [line.split(", ")[0] for line in screen.getvalue().splitlines()] == [
        "1 of 2  training   3 models",
        "2 of 2  figures    0 s",
    ]
    log = (tmp_path / "log").read_text()
    expected = ("1 of 2: training", "[3/3] model 3 is trained", "drawing", "a library talks", "a library warns")
    assert all(text in log.splitlines() for text in expected)
    assert sys.stderr is screen


def test_progress_within_a_long_stage_is_a_line_now_and_then(tmp_path, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(stage_view, "_LINE_EVERY_S", 0.0)
    with stages_on_screen(tmp_path / "log"):
        _two_stages()
    lines = screen.getvalue().splitlines()
    assert lines.count("1 of 2  training   2 of 3 models") == 1  # the bar of the third model brings no news


def test_a_terminal_has_a_bar_for_each_stage(tmp_path, monkeypatch):
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with stages_on_screen(tmp_path / "log"):
        _two_stages()
    shown = screen.getvalue()
    assert "1 of 2  training" in shown
    assert " 3 models" in shown
    assert "2 of 2  figures" in shown.splitlines()[-2]
    assert "━" in shown
    assert "is trained" not in screen.getvalue()


def test_what_is_printed_beneath_python_goes_into_the_log(tmp_path):
    """Libraries in C++ write to the descriptor itself, and child processes inherit it."""
    script = (
        "import os, sys, pathlib\n"
        "from repdrift.cli.stage_view import stages_on_screen\n"
        "from repdrift.core.progress import say_stage\n"
        "with stages_on_screen(pathlib.Path('log')):\n"
        "    say_stage(1, 1, 'training')\n"
        "    os.write(1, b'native one\\n'); os.write(2, b'native two\\n')\n"
        "print('answer'); sys.stderr.write('error\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "answer\n"
    assert done.stderr.splitlines() == ["1 of 1  training   0 s", "error"]
    assert {"native one", "native two"} <= set((tmp_path / "log").read_text().splitlines())


def test_a_fault_ends_the_view_and_leaves_the_streams_as_they_were(tmp_path, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)

    def fails():
        with stages_on_screen(tmp_path / "log"):
            say_stage(1, 2, "training")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert sys.stderr is screen
    say("after it")
    assert screen.getvalue() == "after it\n"


def test_no_secret_is_in_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    remember_secrets("https://user:hunter2secret@example.org/")
    with stages_on_screen(tmp_path / "log"):
        say("sending to https://user:hunter2secret@example.org/")
        sys.stdout.write("https://user:hunter2secret@example.org/\n")
    assert "hunter2secret" not in (tmp_path / "log").read_text()


def test_a_log_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(StorageError, match="log"), stages_on_screen(tmp_path / "log"):
        pass
