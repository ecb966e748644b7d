"""Names and texts from outside make no element, run nothing, turn no direction of writing, and overflow nothing."""

import pytest

from tests.browser.findings import of_closedness, of_forged_elements, of_room, of_silence
from tests.browser.opened_page import OpenedPage


def test_names_make_no_element(hostile: OpenedPage):
    assert of_forged_elements(hostile) == []
    assert of_silence(hostile) == []
    assert of_closedness(hostile) == []


@pytest.mark.parametrize("width", [390, 800, 1600])
def test_names_overflow_nothing(hostile: OpenedPage, width: int):
    hostile.page.set_viewport_size({"width": width, "height": 900})
    hostile.settle()
    assert of_room(hostile) == []


def test_the_choice_of_a_hostile_name_draws_its_models(hostile: OpenedPage):
    hostile.page.set_viewport_size({"width": 1400, "height": 900})
    for column in ("task", "arm"):
        boxes = list(hostile.boxes(column))
        hostile.choose(column, boxes[1:3])
        assert hostile.ask("() => document.querySelectorAll('.chart[data-view=drift] svg').length") > 0
    assert len(hostile.table("drift")) == 2 * 2 * 2 * 3
    assert of_forged_elements(hostile) == []
    assert of_silence(hostile) == []
