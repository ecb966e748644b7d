"""Secrets in texts: what stands in addresses, keys known by their shape, and the values that the user gave in this process."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "…"
_PASSWORD_AT_LEAST = 6
_VALUE_AT_LEAST = 8
"""Shorter ones are left out of addresses, but not of other texts, where they may be parts of words."""

_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|(?:API|ACCESS|PRIVATE|ACCOUNT|AUTH|SECRET)_?KEY|CONNECTION_STRING)(?:_|$)",
    re.IGNORECASE,
)
_NO_SECRET_VARIABLE = re.compile(r"_(?:PATH|FILE|DIR|URL|TTL|EXPIRATION)$", re.IGNORECASE)
_CALLED_SO = (
    r"(?:secret|passw(?:or)?d|passphrase|(?:api|access|account|private|signing)[_-]?key|connection[_-]?string"
    r"|(?:auth|access|session|security|refresh|hf|sas|oauth)[_-]?token)"
)
_NO_BLANK = r"[^\s'\"<>]"
_AFTER_SCHEME = r"(?:(?<=://)|(?<=[A-Za-z0-9]{2}:/)(?!/))"
"""A `Path` makes one slash of two. One letter before `:/` is a drive of Windows, and no address."""
_IN_ADDRESS = (
    # key:secret@ before a host. A secret may hold / and @, so all up to the last @ is left out. Without a colon, what
    # stands before the @ of owner/name@revision is no secret.
    (re.compile(rf"{_AFTER_SCHEME}(?:(?!\?){_NO_BLANK})*:(?:(?!\?){_NO_BLANK})*@"), f"{HIDDEN}@"),
    (re.compile(rf"{_AFTER_SCHEME}(?!{HIDDEN}@){_NO_BLANK}*:{_NO_BLANK}*@"), f"{HIDDEN}@"),  # a ? in the secret
    (re.compile(rf"{_AFTER_SCHEME}(?:(?![/@]){_NO_BLANK})+@"), f"{HIDDEN}@"),
    (re.compile(rf"({_AFTER_SCHEME}[^\s'\"?#]*)\?[^\s'\"#]+"), rf"\1?{HIDDEN}"),
    (re.compile(rf"({_AFTER_SCHEME}[^\s'\"#]*)#(?=[^\s'\"]*[=\d])[^\s'\"]+"), rf"\1#{HIDDEN}"),
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_SHAPES = (
    (
        re.compile(r"\b((?:AKIA|ASIA)[A-Z0-9]{12,}[^A-Za-z0-9/+]{1,20})[A-Za-z0-9/+=]{40}(?![A-Za-z0-9/+=])"),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"(?<![A-Za-z0-9])(hf_(?=[A-Za-z0-9]{20})|AKIA(?=[A-Z0-9]{12})|ASIA(?=[A-Z0-9]{12})|gh[opusr]_(?=\w{12})|github_pat_(?=\w{20})"
            r"|glpat-(?=[\w-]{12})|sk-(?=[\w-]*\d)(?=[\w-]{20})|xox[abeprs]-(?=[\w-]{10})|AIza(?=[\w-]{30})|ya29\.(?=[\w-]{20})"
            r"|npm_(?=\w{30})|pypi-(?=[\w-]{40})|eyJ(?=[\w-]{8,}\.[\w-]{8,}))[\w-]+(?:\.[\w-]+)*"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b((?:[Bb]earer|[Bb]asic|BEARER|BASIC)\s+)(?=\S*[\d=])[\w+/=.~-]{8,}"), rf"\1{HIDDEN}"),
)
_ASSIGNED = (
    (
        re.compile(
            rf"((?:{_CALLED_SO}|(?<![\w-])(?:token|pwd|sig|signature)(?==)|x-(?:amz|goog)-(?:signature|credential))"
            r"[\\\"']{0,3}\s*(?:=|:)\s*b?[\\\"']{0,3})[^\s\"',;&}\\]{4,}",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(authorization[\"']?\s*[:=]\s*[\"']?)(?:\w+ )?[^\s\"',}]{4,}", re.IGNORECASE), rf"\1{HIDDEN}"),
)
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"
_ADDRESS = re.compile(rf"(?:{_SCHEME}::)*{_SCHEME}://\S+")
_given: set[str] = set()
_read_before: ContextVar[frozenset[str] | None] = ContextVar("_read_before", default=None)
"""Values of the environment inside `environment_read_once`; None outside."""


def remember_secrets(text: str) -> None:
    """Takes up the secrets of an address that the user gave: from now on they are hidden wherever they turn up.

    text: the whole value as it was given, chained addresses (`simplecache::s3://...`) included. A text that is no address
    has none. Other people's exceptions quote parts of an address, and decode or encode them; these forms are hidden too.
    """
    if ":/" in text:
        _given.update(_forms_in(text))


def remember_all(value: Any) -> None:
    """Takes up the secrets of every text in `value`, a structure as YAML and JSON have it."""

    def taken(text: str) -> str:
        remember_secrets(text)
        return text

    _walked(value, taken, frozenset())


def without_secrets(text: str) -> str:
    """Returns `text` without secrets, each written as `…`.

    Left out are what stands before the host of an address, queries of addresses, kinds of keys known by their shape,
    values assigned to names such as `password`, what `remember_secrets` took up, and values of environment variables
    whose names say that they are secret. Every way out of the program passes through it.
    """
    return _hidden(text, _known())


def shown(value: Any, verbatim: frozenset[str] = frozenset()) -> Any:
    """Returns `value`, a structure as JSON has it, with all its texts as `without_secrets` writes them.

    verbatim: keys whose values stay as they are, since something is found by them.
    """
    known = _known()
    return _walked(value, lambda text: _hidden(text, known), verbatim)


def cause_without_secrets(error: BaseException) -> BaseException | None:
    """Returns `error` as the cause of an error of ours; None if its text or that of one of its own causes holds a secret."""
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        text = f"{at} {at!r}"
        if without_secrets(text) != text:
            return None
        seen.append(at)
        at = at.__cause__ or at.__context__
    return error


def _hidden(text: str, known: re.Pattern[str] | None) -> str:
    if known is not None:
        text = known.sub(HIDDEN, text)
    if ":/" in text:
        for pattern, replacement in _IN_ADDRESS:
            text = pattern.sub(replacement, text)
    if "PRIVATE KEY" in text:
        text = _PEM.sub(HIDDEN, text)
    for pattern, replacement in _SHAPES:
        text = pattern.sub(replacement, text)
    if "=" in text or ":" in text:
        for pattern, replacement in _ASSIGNED:
            text = pattern.sub(replacement, text)
    return text


@contextmanager
def environment_read_once() -> Generator[None]:
    """Reads the environment once for all texts that are shown inside: to be put around the making of one file of many texts."""
    token = _read_before.set(_of_environment())
    try:
        yield
    finally:
        _read_before.reset(token)


def _known() -> re.Pattern[str] | None:
    """Finds the values to hide now. The environment is read anew each time, since a notebook may set a key at any time."""
    before = _read_before.get()
    found = _given | (_of_environment() if before is None else before)
    return _any_of(frozenset(found)) if found else None


def _of_environment() -> frozenset[str]:
    """Returns the values to hide that environment variables hold."""
    found: set[str] = set()
    for name, value in os.environ.items():
        if "://" in value:
            found |= _forms_in(value) if _ADDRESS.fullmatch(value) else frozenset()
        elif len(value) >= _VALUE_AT_LEAST and not value.isdigit() and _is_secret_variable(name):
            found |= _forms(value)
    return frozenset(found)


@lru_cache(maxsize=512)
def _is_secret_variable(name: str) -> bool:
    return bool(_SECRET_VARIABLE.search(name)) and not _NO_SECRET_VARIABLE.search(name)


@lru_cache(maxsize=8)
def _any_of(values: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(value) for value in sorted(values, key=lambda value: (-len(value), value))))


@lru_cache(maxsize=64)
def _forms_in(address: str) -> frozenset[str]:
    found: set[str] = set()
    for link in re.split(rf"::(?={_SCHEME}:)", address):
        rest = "".join(re.split(_AFTER_SCHEME, link, maxsplit=1)[1:])
        for part in {rest, rest.partition("?")[0]}:  # a ? begins the query, or belongs to the password
            if "@" in part:
                found |= _forms_of_user(part.rpartition("@")[0])
        for _, value in re.findall(r"([^?&#;=]+)=([^?&#;]+)", rest.partition("?")[2] + "&" + rest.partition("#")[2]):
            if _looks_made(value):
                found |= _forms(value)
    return frozenset(found)


def _forms_of_user(before: str) -> set[str]:
    """Finds what is to be hidden of the text before the @ of an address."""
    user, colon, password = before.partition(":")
    if not colon:
        return _forms(before) if "/" not in before and _looks_made(before) else set()
    basic = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode(errors="replace")).decode()
    found = {basic} if len(before) >= _PASSWORD_AT_LEAST else set[str]()
    # A short password is hidden with its user's name, where it cannot be a part of a word.
    for text in (before, password):
        found |= _forms(text) if len(text) >= _PASSWORD_AT_LEAST else set()
    for piece in re.split(r"[/@:?#]", password):  # libraries that take the password for something else quote a part
        found |= _forms(piece) if _looks_made(piece, at_least=_VALUE_AT_LEAST) else set()
    return found


def _looks_made(value: str, at_least: int = 2 * _VALUE_AT_LEAST) -> bool:
    """Tells a made text from a word or a name: long, with digits or capitals among small letters."""
    return len(value) >= at_least and bool(re.search(r"\d|[a-z].*[A-Z]|%", value))


def _forms(secret: str) -> set[str]:
    """The forms in which libraries write a text."""
    plain = {secret, unquote(secret)}
    forms = {write(text) for text in plain for write in (str, quote, quote_plus, html.escape)}
    forms |= {quote(text, safe="") for text in plain}
    return forms | {repr(text)[1:-1] for text in plain} | {json.dumps(text)[1:-1] for text in plain}


def _walked(value: Any, change: Callable[[str], str], verbatim: frozenset[str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        fields = cast("dict[Any, Any]", value)
        return {key: item if key in verbatim else _walked(item, change, verbatim) for key, item in fields.items()}
    if isinstance(value, (list, tuple)):
        return [_walked(item, change, verbatim) for item in cast("list[Any]", value)]
    return value
