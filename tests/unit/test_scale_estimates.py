"""The page on large studies says what the program computes, and the program's shortcuts hold."""

from __future__ import annotations

import re

import pytest
import yaml
from benchmarks.scale import estimates, run, shapes

from repdrift.study.config import parse_study

NARROW = shapes.Shape("narrow", layers=9, width=64, inner=128, heads=4, key_value_heads=2, vocabulary=100)


def _arm(name: str):
    if name.startswith("qlora"):
        pytest.importorskip("bitsandbytes")
    return next(arm for arm in shapes.ARMS if arm.name == name)


def test_the_tables_of_the_page_are_those_of_the_program():
    pytest.importorskip("bitsandbytes")
    page = estimates.PAGE.read_text(encoding="utf-8")
    assert estimates.placed(page, estimates.tables()) == page, "python benchmarks/scale/estimates.py --write"


def test_a_page_without_a_marker_is_refused():
    with pytest.raises(ValueError, match="disk"):
        estimates.placed("<!-- disk: begin -->", {"disk": "x"})


@pytest.mark.parametrize(("name", "optimizer"), [("full_finetune", "adafactor"), ("lora_r8", "adamw")])
def test_a_deep_model_lies_on_the_line_through_two_shallow_ones(name, optimizer):
    arm = _arm(name)
    played = shapes._played(NARROW, arm, optimizer, 4, 16)
    assert shapes.training_need(NARROW, arm, optimizer, 4, 16) == played


def test_a_deep_model_on_a_4_bit_base_too():
    arm = _arm("qlora_r8")
    assert shapes.training_need(NARROW, arm, "adamw", 4, 16) == shapes._played(NARROW, arm, "adamw", 4, 16)


def test_weights_are_those_of_the_published_shapes():
    # 6.74e9 and 68.98e9 with the language model's head, which has as many weights as the embedding
    whole = {shape.name: shape.weights + shape.vocabulary * shape.width for shape in shapes.SHAPES}
    assert whole == {"7B": 6_738_415_616, "70B": 68_976_648_192}


@pytest.mark.parametrize("forward", [run.Forward(64, 2, 5, 8), run.Forward(128, 3, 40, 8)])
def test_files_of_a_set_have_the_bytes_of_the_closed_form(tmp_path, forward):
    cost = run._extract(forward, tmp_path, lambda: None)
    assert cost.closed_form == forward.samples * forward.width * forward.layers * 4
    assert 0 < cost.disk - cost.closed_form <= 2000 * forward.layers


def test_slopes_are_those_of_a_power_law():
    assert run.slopes([1, 2, 4], [3, 12, 48]) == pytest.approx((2, 2))
    assert run.slopes([1, 2, 4], [1, 1, 2])[1] == pytest.approx(1)


def test_sets_are_counted_as_a_study_makes_them():
    seven, seventy = shapes.SHAPES
    assert estimates.sets_of(seven, 80e9) == 8 + 120 + 24
    assert estimates.sets_of(seventy, 80e9) == 8 + 120


def test_the_settings_of_the_page_are_a_study():
    (text,) = re.findall(r"```yaml\n(.*?)```", estimates.PAGE.read_text(encoding="utf-8"), re.DOTALL)
    study = parse_study(yaml.safe_load(text), where="docs/howto/scale.md")
    assert study.extraction.schedule == "layer"
    assert study.arm("sst2", "qlora_r8").words.startswith("LoRA")
