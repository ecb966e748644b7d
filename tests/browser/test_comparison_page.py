"""The page of a comparison: the same page, with models as arms, and names of models that are attacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from repdrift.report.page import page_html
from repdrift.report.page.contents import DRIFT
from tests.browser.drawn import drawn_rows
from tests.browser.findings import of_access, of_axes, of_closedness, of_forged_elements, of_places, of_room, of_silence
from tests.browser.opened_page import OpenedPage, opened
from tests.browser.tried_study import HOSTILE_TEXTS
from tests.unit.report.page.comparison.made_page import made_page
from tests.unit.report.synthetic_comparison import compared, comparison, refused

DRIFTS = {"dpo": [0.01, 0.2, 0.5], **{text: [0.02, place / 10, 0.6] for place, text in enumerate(HOSTILE_TEXTS)}}


@pytest.fixture(scope="module")
def compared_models(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedPage]:
    models = [*(compared(name, drifts) for name, drifts in DRIFTS.items()), refused("other", HOSTILE_TEXTS[1])]
    path: Path = tmp_path_factory.mktemp("comparison") / "report.html"
    path.write_text(page_html(made_page(comparison(models, warnings=list(HOSTILE_TEXTS)))), encoding="utf-8")
    shown = opened(browser, path)
    shown.see_all()
    yield shown
    shown.context.close()


def test_every_model_is_drawn_at_its_values(compared_models: OpenedPage):
    drawn = sorted(row["drift"] for row in drawn_rows(compared_models, DRIFT))
    assert drawn == sorted(value for drifts in DRIFTS.values() for value in drifts)
    assert of_places(compared_models) == of_axes(compared_models) == []


def test_names_of_models_make_no_element_and_ask_for_nothing(compared_models: OpenedPage):
    assert of_forged_elements(compared_models) == []
    assert of_silence(compared_models) == []
    assert of_closedness(compared_models) == []


def test_a_model_that_is_chosen_is_drawn_alone(compared_models: OpenedPage):
    compared_models.choose("arm", ["dpo"])
    assert [row["drift"] for row in drawn_rows(compared_models, DRIFT)] == DRIFTS["dpo"]
    compared_models.start_anew()


@pytest.mark.parametrize("width", [390, 1600])
def test_names_of_models_overflow_nothing(compared_models: OpenedPage, width: int):
    compared_models.page.set_viewport_size({"width": width, "height": 900})
    compared_models.see_all()
    assert of_room(compared_models) == []


def test_axe_finds_nothing_serious_in_the_dark(compared_models: OpenedPage):
    compared_models.page.emulate_media(color_scheme="dark")
    compared_models.settle()
    assert of_access(compared_models) == []
