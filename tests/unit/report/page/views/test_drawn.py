"""Charts as they are drawn: on odd studies, with hostile names, as SVG and PDF, and within the size that a page may have."""

import json
import re

import altair as alt
import pytest
import vl_convert

from repdrift.report.page.arm_marks import arm_dashes, arm_shapes
from tests.unit.report.page.views.made_studies import (
    HOSTILE,
    LONG,
    STUDIES,
    bytes_of_tables,
    drawn,
    kept_rows,
    page_of,
)

VIEWS = {
    "drift", "heatmap", "reduction", "controls", "frontier", "weights", "weights_by_kind", "weights_by_layer", "layer_grid", "likeness", "directions", "samples", "sample_groups", "significance", "task_significance",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(STUDIES) - {"usual"}))
def test_every_chart_is_drawn(name):
    page, views = page_of(name)
    expected = VIEWS - ({"likeness"} if name == "one" else set())
    assert expected <= set(views)
    for view in views.values():
        alt.LayerChart.from_dict({**view.spec, "data": {"name": "rows"}}) if "layer" in view.spec else alt.Chart.from_dict({**view.spec, "data": {"name": "rows"}})  # fmt: skip
        svgs = drawn(view, page)
        assert svgs, view.name
        for panel, svg in svgs.items():
            assert "NaN" not in svg, (view.name, panel)
            assert svg.count("<path") > 3, (view.name, panel)


def test_every_view_says_how_it_is_read():
    page, views = page_of("plain")
    columns = {name: set(view.rows.columns) for name, view in views.items()}
    for name, view in views.items():
        assert view.caption.strip().endswith((".", "shown.")), name
        assert 0 <= len(view.answer) <= 3, name
        assert set(view.shown) | set(view.keyboard) | set(view.filters) | set(view.selects.values()) <= columns[name], name  # fmt: skip
        assert not view.panel_by or view.panel_by in columns[name]
        for line in (*view.answer, view.caption):
            assert not {"nan", "None", "inf"} & set(line.split()), (name, line)
    groups = [view.group for view in page.views]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)


def test_a_mean_over_fewer_models_is_named():
    page, views = page_of("gone")
    svgs = drawn(views["drift"], page)
    assert "Models there: LoRA 0 of 3" in svgs["MRPC"]
    assert "Models there" not in svgs["SST-2"]
    one_seed = drawn(views["drift"], page, seed=[42])
    assert "Models there: LoRA 0 of 1" in one_seed["MRPC"]


def test_texts_from_outside_stay_texts():
    page, views = page_of("arms")
    for name in ("drift", "heatmap", "reduction", "layer_grid", "samples"):
        for svg in drawn(views[name], page).values():
            assert "<img" not in svg
    assert HOSTILE in set(views["samples"].rows["text"])
    assert {"LoRA (lora)", "LoRA (LoRA)", LONG} <= set(views["drift"].rows["arm"])


def test_marks_of_sixty_arms_differ():
    colors = {f"model {n}": f"#0000{n % 14:02x}" for n in range(60)}
    marks = set(zip(colors.values(), map(str, arm_dashes(colors)), arm_shapes(60), strict=True))
    assert len(marks) == 60


def test_tables_of_the_largest_usual_study_stay_below_a_megabyte():
    page, _ = page_of("usual")
    assert len(page.runs.rows) == 24
    assert bytes_of_tables(page) < 1_000_000


def test_a_chart_exports_as_pdf():
    page, views = page_of("plain")
    rows = json.loads(kept_rows(views["drift"], page, task=["SST-2"]).to_json(orient="records"))
    spec = {**views["drift"].spec, "data": {"name": "rows"}, "datasets": {"rows": rows}, "width": 300}
    assert vl_convert.vegalite_to_pdf(spec).startswith(b"%PDF")


def test_the_point_of_a_single_model_lies_on_its_line_and_those_of_several_beside_it():
    page, views = page_of("plain")

    def places(**chosen):
        svg = next(iter(drawn(views["drift"], page, **chosen).values()))
        points = svg.split("mark-symbol role-mark layer_8_marks")[1].split("</g>")[0]
        return {float(x) for x in re.findall(r'transform="translate\(([\d.]+),', points)}

    layers = {37.5, 112.5, 187.5, 262.5}
    assert places(seed=[1]) == layers
    assert places().isdisjoint(layers)
    assert len(places()) == 8
