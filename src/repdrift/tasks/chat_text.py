"""A chat as the text that a model reads: through the tokenizer's chat template, or in a plain layout where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repdrift.core.errors import DataError

Turn = dict[str, str]
"""`role` (system, user or assistant) and `content`."""

PLAIN = {"system": "System", "user": "User", "assistant": "Assistant"}
PLAIN_BREAK = "\n\n"
"""The plain layout: `User: text`, an empty line, `Assistant: text` with the end token behind it, an empty line, and so on."""

_FIXED_DATE = (
    "{%- macro strftime_now(format) -%}"
    '{{ {"%d %b %Y": "26 Jul 2024", "%Y-%m-%d": "2024-07-26"}.get(format, "26 July 2024") }}'
    "{%- endmacro -%}"
)
"""Put before a template that writes today's date: the same chat must be the same text on every day."""


@dataclass(frozen=True)
class MarkedText:
    """A text with completions in it. completions: characters [start, end) of each, in order; the last one ends the text.

    adds_start: the tokenizer's own start tokens go before the text. adds_end: the end token goes behind it.
    """

    text: str
    completions: tuple[tuple[int, int], ...]
    adds_start: bool
    adds_end: bool


def chat_text(turns: Sequence[Turn], tokenizer: Any, template: str | None) -> MarkedText:
    """Returns the text of a chat up to its last assistant turn, with the assistant's turns as completions.

    A completion begins where the template hands over to the assistant, and ends with the template's end of turn, which is the last special
    token of the turn. A template without one has its turn's whole text as completion, and the end token behind the last. template: Jinja,
    instead of the tokenizer's. Raises DataError if the template does not take the chat, or writes a turn differently once others follow.
    """
    said = [number for number, turn in enumerate(turns) if turn["role"] == "assistant"]
    if not said:
        raise DataError("the chat has no assistant turn, so there is nothing to learn")
    chosen = template or (tokenizer.get_chat_template() if tokenizer.chat_template else None)
    if chosen is None:
        return _plain(turns[: said[-1] + 1], tokenizer)
    chosen = _FIXED_DATE + chosen if "strftime_now" in chosen else chosen
    whole = _rendered(turns[: said[-1] + 1], tokenizer, chosen)
    completions: list[tuple[int, int]] = []
    for number in said:
        asked = _rendered(turns[:number], tokenizer, chosen, asks=True)
        answered = whole if number == said[-1] else _rendered(turns[: number + 1], tokenizer, chosen)
        if not (whole.startswith(asked) and answered.startswith(asked)):
            raise DataError(
                f"the chat template asks for turn {number + 1} with {asked[-40:]!r}, and does not write the turn behind that; give a chat template "
                "of your own (template) that does"
            )
        if not whole.startswith(answered):
            raise DataError(
                f"the chat template writes turn {number + 1} differently once other turns follow, so that no text has both; write one row for each "
                "assistant turn and set loss_on: last_turn, or give a chat template of your own (template)"
            )
        completions.append((len(asked), len(asked) + _turn_length(answered[len(asked) :], tokenizer)))
    start, end = completions[-1]
    if start >= end:
        raise DataError("the chat template writes nothing for the last assistant turn; leave the chat out")
    text = whole[:end]
    closed = any(text.endswith(token) for token in _special_texts(tokenizer))
    return MarkedText(text, tuple((a, b) for a, b in completions if a < b), adds_start=False, adds_end=not closed)


def uses_plain_layout(tokenizer: Any, template: str | None) -> bool:
    """True if chats are written in the plain layout, since there is no chat template."""
    return template is None and not tokenizer.chat_template


def _rendered(turns: Sequence[Turn], tokenizer: Any, template: str, *, asks: bool = False) -> str:
    if not turns and asks:
        raise DataError(
            "the chat begins with an assistant turn; put the turn before it that asks, or leave the row out"
        )
    try:
        return str(
            tokenizer.apply_chat_template(
                list(turns),
                chat_template=template,
                add_generation_prompt=asks,
                tokenize=False,
                date_string="26 Jul 2024",
            )
        )
    except Exception as error:  # Jinja's errors and those that a template raises
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"the chat template does not take this chat: {reason}") from error


def _plain(turns: Sequence[Turn], tokenizer: Any) -> MarkedText:
    text = ""
    completions: list[tuple[int, int]] = []
    for number, turn in enumerate(turns):
        text += (PLAIN_BREAK if number else "") + PLAIN[turn["role"]] + ":"
        start = len(text)
        text += " " + turn["content"]
        if turn["role"] == "assistant":
            text += str(tokenizer.eos_token) if number < len(turns) - 1 else ""
            completions.append((start, len(text)))
    return MarkedText(text, tuple(completions), adds_start=True, adds_end=True)


def _turn_length(turn: str, tokenizer: Any) -> int:
    """Characters of a rendered turn up to its last special token; all of them if it has none."""
    ends = [at + len(token) for token in _special_texts(tokenizer) if (at := turn.rfind(token)) >= 0]
    return max(ends, default=len(turn))


def _special_texts(tokenizer: Any) -> set[str]:
    added = {token.content for token in getattr(tokenizer, "added_tokens_decoder", {}).values() if token.special}
    return {text for text in {*added, *tokenizer.all_special_tokens} if text}
