"""Sentences on the attention sinks that a mean leaves out."""

from __future__ import annotations

from collections.abc import Iterable

from repdrift.core.records.sink_tokens import SinkSummary

_NEAR = 1.02
"""Rounding in bfloat16 changes a norm by less than 1 %."""


def sinks_in_words(sinks: SinkSummary) -> str:
    """Says how many tokens the mean leaves out, why these, and where they are."""
    if not sinks.sinks:
        nearest = (
            "" if sinks.largest_ratio_kept is None else f"; the largest token is {sinks.largest_ratio_kept:.1f} times"
        )
        return (
            f"No token is an attention sink (none has over {sinks.ratio_limit:g} times its sample's lower quartile of norms in the base model"
            f"{nearest}), so the mean is over all tokens."
        )
    names = ", ".join(
        f"{count.text!r} {count.count}" if count.text is not None else f"token {count.token_id} {count.count}"
        for count in sinks.most_common
    )
    first = "1 is" if sinks.at_first_token == 1 else f"{sinks.at_first_token} are"
    return (
        f"The mean leaves out {sinks.sinks} of {sinks.tokens} tokens as attention sinks: in the base model, their norm is over "
        f"{sinks.ratio_limit:g} times the lower quartile of their sample's norms ({_clear(sinks)}). {first} the first token of a "
        f"sample; most often: {names}."
    )


def sinks_in_short(sinks: Iterable[SinkSummary]) -> str:
    """Says in a clause how many tokens of these sample sets the means leave out; empty if there is none."""
    found = list(sinks)
    left_out = sum(each.sinks for each in found)
    if not left_out:
        return ""
    return f"means leave out {left_out} of {sum(each.tokens for each in found)} tokens as attention sinks"


def sink_cautions(sinks: SinkSummary) -> list[str]:
    """Sentences on samples for which the rule says little, or which are near its limit."""
    found: list[str] = []
    limit = sinks.ratio_limit
    near = [
        ratio
        for ratio in (sinks.largest_ratio_kept, sinks.smallest_ratio_left_out)
        if ratio is not None and limit / _NEAR < ratio < limit * _NEAR
    ]
    if near:
        found.append(
            f"A token is near the limit of what counts as an attention sink ({near[0]:.2f} times its sample's lower quartile of norms, limit "
            f"{limit:g}): on another machine, or in another precision, it may fall on the other side."
        )
    if sinks.sinks and sinks.samples_of_one_token:
        found.append(
            f"{sinks.samples_of_one_token} of {sinks.samples} samples have one token only. It stays, although it may be an attention "
            "sink. Leave such samples out."
        )
    if sinks.samples_all_sinks:
        found.append(
            f"In {sinks.samples_all_sinks} of {sinks.samples} samples every token is an attention sink; the smallest was kept."
        )
    return found


def _clear(sinks: SinkSummary) -> str:
    """Says how far the tokens on both sides of the limit are from it."""
    sides = (("the smallest left out", sinks.smallest_ratio_left_out), ("the largest kept", sinks.largest_ratio_kept))
    return ", ".join(f"{side}: {ratio:.3g} times" for side, ratio in sides if ratio is not None)
