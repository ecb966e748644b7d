"""Strips of shaded tokens: shades follow values on one scale, and every token can be seen."""

from __future__ import annotations

import pytest

from repdrift.core.records.outcomes import ShadedTokens
from repdrift.core.sample_words import shaded_strips, strips_section
from repdrift.core.worded_section import SHADES, TokenStrip


def strip_of(values: list[float | None], name: str = "7", cut: int = 0) -> ShadedTokens:
    tokens = [f" w{i}" for i in range(len(values))]
    return ShadedTokens(sample=name, inputs="task", tokens=tokens, values=values, mean=0.5, cut=cut)


def test_shades_are_even_steps_from_0_to_the_highest_value():
    values = [k / 8 * 2.4 for k in range(SHADES)]
    shaded = TokenStrip("t", [("x", value) for value in [*values, None, 99.0]], "", highest=2.4).shaded
    assert [token.shade for token in shaded] == [*range(SHADES), None, SHADES - 1]
    assert (shaded[0].words, shaded[4].words, shaded[-2].words) == ("0 nats", "1.2 nats", "not predicted")


def test_where_nothing_changed_nothing_is_shaded():
    assert TokenStrip("t", [("x", 0.0)], "", highest=0.0).shaded[0].shade == 0


@pytest.mark.parametrize(("text", "shown"), [("", "·"), ("\n", "↵"), (" a\r\nb\tc", " a↵b→c"), (" ", " ")])
def test_a_token_without_letters_can_be_seen_and_stays_on_its_line(text, shown):
    assert TokenStrip("t", [(text, 1.0)], "", highest=1.0).shaded[0].text == shown


def test_strips_of_one_section_share_the_scale_and_say_their_highest_values():
    found = shaded_strips([strip_of([None, 0.5, 2.0]), strip_of([0.25, 0.1], name="9", cut=3)])
    assert [strip.highest for strip in found] == [2.0, 2.0]
    assert "w0 w1[ w2] 2.0" in found[0].caption
    assert "3 more tokens at the end are not shown." in found[1].caption
    section = strips_section([strip_of([None, 1.0])])
    assert section is not None
    assert [strip.title for strip in section.strips] == ["sample 7: mean KL 0.50 nats per token"]
