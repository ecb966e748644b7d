"""The installed Chromium that the tests drive. Nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, BrowserType, Error

PROGRAM_VARIABLE = "REPDRIFT_CHROMIUM"
"""Names the browser's program where it is none of `PROGRAMS` on the PATH."""
REQUIRED_VARIABLE = "REPDRIFT_BROWSER_TESTS"
"""With the value `required`, tests of the page fail where there is no browser; otherwise they skip."""
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO_GET_IT = (
    "Install one, for example with `apt-get install chromium` or `brew install --cask chromium`, "
    f"or set {PROGRAM_VARIABLE} to the program of a browser that is built on Chromium."
)


class NoChromiumError(Exception):
    """There is no browser to drive; the message says what was looked for, and how to get one."""


def program() -> str:
    """Returns the path of the browser's program. Raises NoChromiumError if there is none."""
    named = os.environ.get(PROGRAM_VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise NoChromiumError(f"{PROGRAM_VARIABLE} names {named!r}, which is no program. {HOW_TO_GET_IT}")
        return found
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    raise NoChromiumError(
        f"no browser to test the page in: none of {', '.join(PROGRAMS)} is on the PATH. {HOW_TO_GET_IT}"
    )


def launched(chromium: BrowserType, path: str) -> Browser:
    """Starts the browser at `path`. Raises NoChromiumError if it does not start."""
    try:
        return chromium.launch(executable_path=path)
    except Error as error:
        reason = error.message.splitlines()[0]
        raise NoChromiumError(f"{path} did not start as a browser ({reason}). {HOW_TO_GET_IT}") from None


def refuse(error: NoChromiumError) -> NoReturn:
    """Skips the test that asked for a browser, or fails it where tests of the page must run.

    Raises ValueError on a value of the variable that is neither `required` nor empty.
    """
    value = os.environ.get(REQUIRED_VARIABLE, "")
    if value not in ("", "required"):
        raise ValueError(f"{REQUIRED_VARIABLE} is {value!r}; it may be `required` or unset")
    if value == "required":
        pytest.fail(f"{error} ({REQUIRED_VARIABLE}=required)", pytrace=False)
    pytest.skip(str(error))
