"""The matrix of likenesses: models are named whole, at the matrix or below it, and colours mean what they mean on the page."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from repdrift.core.likeness_matrices import likeness_matrix
from repdrift.core.records.likeness import (
    ChangeLikeness,
    DirectionPair,
    GroupLikeness,
    LikenessModel,
    PairLikeness,
    ProfilePair,
)
from repdrift.report.figure_size import FigureSize
from repdrift.report.likeness_figure import FIGURE_NAMES, likeness_caption, likeness_figure, why_not_drawn
from repdrift.report.style import LIKENESS, paper_style
from tests.unit.report.figure_faults import drawn_texts, faults_of
from tests.unit.report.synthetic_moved import moved
from tests.unit.report.synthetic_results import Synthetic

NARROW, WIDE = FigureSize("one-column"), FigureSize("two-column")


def drawn(found, size):
    """The texts of the figure, and its faults."""
    with paper_style(size):
        figure = likeness_figure(found)
        faults = faults_of(figure)
        return figure, [text.text for text in drawn_texts(figure)], faults


def study_likeness(**changes):
    return moved(Synthetic(tasks=("sst2", "mrpc"), seeds=(42, 1337, 2024), layers=2, **changes)).likeness


def test_models_are_named_at_a_wide_matrix_and_below_a_narrow_one():
    found = study_likeness()
    _, wide, _ = drawn(found, WIDE)
    assert "1 SST-2, full fine-tuning, 42" in wide
    _, narrow, faults = drawn(found, NARROW)
    assert not faults
    assert "SST-2, full fine-tuning: 1 (42), 2 (1337), 3 (2024)" in narrow
    assert "MRPC, LoRA: 10 (42), 11 (1337), 12 (2024)" in narrow
    assert not [text for text in narrow if "…" in text]


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_every_model_of_many_arms_and_long_names_is_in_the_key_or_said_to_be_left_out(size):
    arms = tuple(f"a_name_of_sixty_characters_that_differs_in_its_{n:02}_part_only_x" for n in range(12))
    _, texts, faults = drawn(study_likeness(methods=arms), size)
    assert not faults
    named = sum(text.count(" (") for text in texts)
    assert named == 2 * 12 * 3 or any("name the others" in text for text in texts)


def test_models_of_a_comparison_are_named_by_their_names():
    models = [LikenessModel(name=f"a rather long folder name of model {letter}") for letter in "abc"]
    pairs = [
        PairLikeness(first=i, second=j, whole=GroupLikeness(by="all", group="all", weights=1, cosine=0.1))
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    _, texts, faults = drawn(ChangeLikeness(models=models, pairs=pairs, order=[2, 0, 1]), NARROW)
    assert not faults
    assert {"Numbers of the models:", "a rather long folder name of model c: 1"} <= {text.rstrip() for text in texts}


def test_why_there_is_no_matrix_is_said_as_it_is():
    assert [why_not_drawn(study_likeness(), of) for of in FIGURE_NAMES] == [None] * 3
    pairs = ((0, 1), (0, 2), (1, 2))
    found = ChangeLikeness(
        models=[LikenessModel(name=name) for name in "abc"],
        profiles=[ProfilePair(first=i, second=j, spearman=None, cosine=None, missing="no drift") for i, j in pairs],
        # a and b have a direction in layer 0, the other pairs in layer 1: no layer is there for all.
        directions=[DirectionPair(first=i, second=j, layer=int((i, j) != (0, 1)), cosine=0.5) for i, j in pairs],
        order=[0, 1, 2],
    )
    assert "fewer" in why_not_drawn(found, "weights")
    assert why_not_drawn(found, "profiles").startswith("no two models have a rank correlation")
    assert "no layer has a direction in every two models" in why_not_drawn(found, "directions")


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("of", FIGURE_NAMES)
def test_each_matrix_has_its_own_numbers_order_and_words(of, size):
    found = study_likeness()
    matrix = likeness_matrix(found, of)
    with paper_style(size):
        figure = likeness_figure(found, of, caption=[likeness_caption(of)])
        assert not faults_of(figure)
    shown = np.ma.filled(figure.axes[0].images[0].get_array().astype(float), np.nan)
    for row, one in enumerate(matrix.order):
        for column, other in enumerate(matrix.order[:row]):
            value = matrix.values.get((one, other), matrix.values.get((other, one)))
            assert (
                shown[row, column] == shown[column, row] == value if value is not None else np.isnan(shown[row, column])
            )
    assert (
        matrix.order
        == {"weights": found.order, "profiles": found.profile_order, "directions": found.direction_order}[of]
    )
    title = {"weights": "cosine of the changes of weights", "profiles": "rank correlation of drift by layer", "directions": "cosine of the mean differences"}[of]  # fmt: skip
    assert title.partition(" of ")[0] in " ".join(text.text for text in drawn_texts(figure))
    if size is WIDE:
        assert title in [text.text for text in drawn_texts(figure)]


def test_results_of_older_versions_have_the_order_of_weights_everywhere():
    found = study_likeness().model_copy(update={"profile_order": [], "direction_order": []})
    assert likeness_matrix(found, "profiles").order == likeness_matrix(found, "directions").order == found.order


def test_blue_is_alike_and_orange_opposite_which_has_a_sign_without_numbers_too():
    assert [to_hex(LIKENESS(value)).upper() for value in (0.0, 1.0)] == ["#D55E00", "#0072B2"]
    found = study_likeness()
    for size, signs in ((NARROW, True), (WIDE, False)):
        figure, texts, _ = drawn(found, size)
        (dashes,) = [line for line in figure.axes[0].lines if line.get_marker() == "_"]
        assert dashes.get_visible() is signs
        assert any("−0." in text for text in texts) is not signs
    values = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    assert len(dashes.get_xdata()) == (values < -0.1).sum() > 0
