"""Labels in figures: as wide as there is room, different where names are, and lines that never part a number from its unit."""

import pytest

from repdrift.report.labels import fitted, fitted_names, text_width_pt, wrapped
from repdrift.report.style import paper_style
from tests.unit.report.odd_studies import LONG


@pytest.fixture(autouse=True)
def _style():
    with paper_style():
        yield


@pytest.mark.parametrize("width", range(20, 200, 7))
def test_no_line_parts_a_number_from_its_unit_or_its_sign(width):
    text = "LoRA drifts by -26.2 % (p = 0.03) in layer 3, from 12.5 to 31.2 % and p < 0.0001 at n = 12, not 5 models."
    lines = wrapped(text, width, 7)
    assert " ".join(lines).split() == text.split() or width < 60
    if width >= 60:
        for whole in ("-26.2 %", "p = 0.03)", "layer 3,", "12.5 to 31.2 %", "p < 0.0001", "n = 12,"):
            assert any(whole in line for line in lines), whole
        assert text_width_pt(lines, 7) <= width


def test_a_label_is_no_wider_than_its_room_and_keeps_its_ends():
    for width in (30, 60, 120):
        label = fitted("begin" + "x" * 80 + "end", width)
        assert text_width_pt([label], 7) <= width
        assert label.startswith("b")
        assert label.endswith("d")
        assert "…" in label
    assert fitted("a\nb", 100) == "a b"
    assert fitted("$x$", 100) == r"\$x\$"
    assert fitted(" \x1b\n", 100) == "(no name)"


def test_names_that_differ_stay_different_in_the_order_they_came():
    names = [LONG.format(number) for number in ("1st", "2nd", "10th")] + ["LoRA", "LoRA"]
    for width in (40, 66, 120, 400):
        labels = fitted_names(names, width)
        assert len(set(labels)) == 4, labels
        assert labels[3] == labels[4] == "LoRA"
        assert text_width_pt(labels, 7) <= width + 1
    assert "2nd" in fitted_names(names, 66)[1]
    both_ends = [f"{a}{'m' * 60}{b}" for a in "xy" for b in "xy"]
    assert len(set(fitted_names(both_ends, 50))) == 4
