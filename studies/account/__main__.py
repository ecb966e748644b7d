"""Writes the text of an account, or says that it is not up to date: `python -m studies.account docs/studies/reference [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from studies.account.build import TEXT, account_text

from repdrift.core.atomic import write_text
from repdrift.core.errors import RepdriftError


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 if the account is not up to date, or cannot be made; 2 for a wrong command."""
    folders = [argument for argument in arguments if argument != "--check"]
    if len(folders) != 1:
        sys.stderr.write("expected one folder: python -m studies.account docs/studies/reference [--check]\n")
        return 2
    folder = Path(folders[0])
    try:
        text = account_text(folder)
    except RepdriftError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if "--check" not in arguments:
        write_text(folder / TEXT, text)
        return 0
    current = (folder / TEXT).read_text(encoding="utf-8") if (folder / TEXT).is_file() else ""
    if current == text:
        return 0
    sys.stderr.write(f"{folder / TEXT} is not what the results give: run `python -m studies.account {folder}`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
