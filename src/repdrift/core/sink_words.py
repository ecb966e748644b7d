"""Sentences on the attention sinks that a mean leaves out."""

from __future__ import annotations

from repdrift.core.records.sink_tokens import SinkSummary

_NEAR = 1.02
"""Rounding in bfloat16 changes a norm by less than 1 %."""


def sinks_in_words(sinks: SinkSummary) -> str:
    """One sentence: how many tokens the mean leaves out, and where they are."""
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
    return (
        f"The mean leaves out {sinks.sinks} of {sinks.tokens} tokens, attention sinks of the base model: {sinks.at_first_token} are "
        f"the first token of their sample; most often: {names}. They have over {sinks.ratio_limit:g} times the lower quartile of "
        f"their sample's norms; the nearest tokens to that limit have {_times(sinks.largest_ratio_kept)} and "
        f"{_times(sinks.smallest_ratio_left_out)} times."
    )


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


def _times(ratio: float | None) -> str:
    return "no" if ratio is None else f"{ratio:.3g}"
