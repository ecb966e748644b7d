"""Runs command lines of `repdrift` and of its scripts inside the test's own process, which has the imports done."""

import io
import runpy
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from repdrift.cli.main import main


@dataclass(frozen=True)
class Done:
    """The outcome of a command, with the names of subprocess.CompletedProcess."""

    returncode: int
    stdout: str
    stderr: str


def run_here(command: str, folder: Path, *, fails: bool | None = False, **environment: str) -> Done:
    """Run `python -m repdrift ...` or `python SCRIPT.py ...` in `folder`; check that it fails just where `fails` says so.

    fails: None allows both.

    An exception that would be a traceback on the command line is raised here.
    """
    python, *words = shlex.split(command)
    assert python == "python", command
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            if words[:2] == ["-m", "repdrift"]:
                main(words[2:])
            else:
                patch.setattr(sys, "argv", words)
                runpy.run_path(str(folder / words[0]), run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    assert fails is None or (code != 0) == fails, f"{command}\n{out.getvalue()}\n{err.getvalue()}"
    return Done(code, out.getvalue(), err.getvalue())
