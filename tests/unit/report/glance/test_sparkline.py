"""One mark a layer, on one scale for all rows."""

import math

from repdrift.report.glance.screen import Screen
from repdrift.report.glance.sparkline import spark_scale

BLOCKS, LETTERS = Screen(), Screen(unicode=False)


def test_marks_are_eighths_of_the_largest_drift_of_all_rows():
    scale = spark_scale([[0.0, 0.4, 0.8], [0.1, 0.2, 0.79]], 40)
    assert scale.sparkline([0.0, 0.4, 0.8], BLOCKS) == "▁▅█"
    assert scale.sparkline([0.1, 0.2, 0.79], BLOCKS) == "▂▃█"
    assert scale.sparkline([0.0, 0.4, 0.8], LETTERS) == ".+#"
    said = scale.in_words([0, 1, 2], BLOCKS)
    assert "layers 0, 2, from" in scale.in_words([0, 2], BLOCKS)
    assert "layers 0 to 2, from ▁ (0) to █ (0.80), one linear scale for all rows" in said


def test_a_layer_without_a_value_is_no_zero():
    scale = spark_scale([[None, math.nan, 0.5]], 40)
    assert scale.sparkline([None, math.nan, 0.5], BLOCKS) == "··█"
    assert scale.in_words([0, 1, 2], BLOCKS).endswith("; · has no value")
    assert scale.sparkline([None, 0.5], LETTERS) == "?#"


def test_drift_below_zero_is_the_lowest_mark():
    scale = spark_scale([[-0.01, 1.0]], 40)
    assert scale.sparkline([-0.01, 1.0], BLOCKS) == "▁█"


def test_no_drift_at_all_is_said():
    scale = spark_scale([[0.0, -1e-9]], 40)
    assert scale.sparkline([0.0, -1e-9], BLOCKS) == "▁▁"
    assert "no drift above 0" in scale.in_words([0, 1], BLOCKS)


def test_the_largest_of_neighbours_is_shown_where_there_are_more_layers_than_room():
    drifts = [0.0] * 95 + [0.9]
    scale = spark_scale([drifts], 24)
    line = scale.sparkline(drifts, BLOCKS)
    assert line == "▁" * 23 + "█"
    assert "each mark the largest of 4 layers" in scale.in_words(list(range(96)), BLOCKS)
