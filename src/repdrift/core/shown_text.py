"""Texts from outside as they may be shown: addresses without secrets, and nothing that a terminal would obey."""

from __future__ import annotations

import re

_HIDDEN = "…"
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tab and line feed, and those that turn the direction of writing."""
_SECRETS = (
    # key:secret@ before a host; a secret may hold slashes, an address without a colon before the @ may hold a revision.
    (re.compile(r"(?<=://)[^\s'\"@]*:[^\s'\"@]*@"), f"{_HIDDEN}@"),
    (re.compile(r"(?<=://)[^/\s'\"@]+@"), f"{_HIDDEN}@"),
    (re.compile(r"(://[^\s'\"?]*)\?[^\s'\"]+"), rf"\1?{_HIDDEN}"),
    (re.compile(r"\b(hf_|AKIA|ASIA|ghp_|glpat-)[A-Za-z0-9]{12,}"), rf"\1{_HIDDEN}"),
)


def without_secrets(text: str) -> str:
    """Returns `text` with what stands before the host of an address, queries of addresses, and known kinds of keys left out.

    Every way out of the program (progress, errors, records of what was compared) passes through it.
    """
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def for_terminal(text: str) -> str:
    """Returns `text` without secrets, with every character that a terminal would obey written as its code (`\\x1b`)."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], without_secrets(text))
