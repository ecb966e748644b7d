"""The figure of sites, the page's section on them, and what both leave out."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from repdrift.core.records.results import RESULTS_FILE
from repdrift.drift import analyze
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.report.figures import figures
from repdrift.report.report_data import read_report_data
from repdrift.report.style import paper_style
from tests.unit.drift.study_with_sites import SiteStudy
from tests.unit.report.page.study.read_page import page_source

SPEC = next(spec for spec in figures() if spec.name == "drift_by_site")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("sites")
    study = SiteStudy(root, tasks=("<b>task</b>",), seeds=(1, 2))
    analyze(study.plan(sampling=SamplingOptions(replicates=0)), root / "out")
    return read_report_data(root / "out" / RESULTS_FILE)


def test_the_figure_has_a_line_for_each_site_at_the_means_over_seeds(data):
    assert SPEC.possible(data)
    with paper_style():
        figure = SPEC.draw(data)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
    panel = figure.axes[0]
    lines = {line.get_label(): line for line in panel.get_lines() if not line.get_label().startswith("_")}
    assert set(lines) == {"residual stream", "attention output", "MLP output", "embeddings", "output of the final norm"}
    rows = data.other_sites
    rows = rows[(rows["site"] == "mlp_out") & (rows["measure"] == "cka") & (rows["method"] == "full_finetune")]
    expected = rows.groupby("layer")["drift"].mean()
    np.testing.assert_allclose(lines["MLP output"].get_ydata(), expected.to_numpy(float))
    assert list(lines["embeddings"].get_xdata()) == [-1]
    assert [tick.get_text() for tick in figure.axes[-1].get_xticklabels()] == ["in", "0", "1", "out"]
    assert "MLP output 0." in SPEC.describe(data)
    assert "Embeddings stand before layer 0" in SPEC.caption(data)


def test_without_other_sites_there_is_no_figure(data):
    bare = replace(data, results=data.results.model_copy(update={"sites": []}))
    assert not SPEC.possible(bare)


def test_the_page_has_the_section_with_names_escaped(data):
    page = page_source(data)
    assert "Sites inside the block: attention or MLP?" in page
    assert "<b>task</b>" not in page
    assert "&lt;b&gt;task&lt;/b&gt;" in page
