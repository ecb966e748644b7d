"""Texts as they may be shown: addresses without passwords, keys and signed queries."""

from __future__ import annotations

import re

_HIDDEN = "…"
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
