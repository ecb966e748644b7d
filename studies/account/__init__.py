"""Accounts of studies: a text in Markdown whose numbers are taken from the results files, never typed.

The folder of an account holds `account.md.j2`, `results/` as `repdrift analyze` wrote it, and what else the text is about.
`python -m studies.account FOLDER` writes `README.md` there; `--check` only says whether it is up to date.
"""

from __future__ import annotations

from studies.account.build import account_text

__all__ = ["account_text"]
