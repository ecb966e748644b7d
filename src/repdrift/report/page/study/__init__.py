"""The page of a study, from its results and its tidy table."""

from __future__ import annotations

from repdrift.core.words import method_title, task_title
from repdrift.report.page.contents import Filter, Page, RunTable
from repdrift.report.page.main_view import drift_by_layer
from repdrift.report.page.study.drift_table import drift_table
from repdrift.report.page.views import study_views
from repdrift.report.report_data import ReportData
from repdrift.report.skill import first_lines
from repdrift.report.style import method_color
from repdrift.report.wording import drift_definition


def study_page(data: ReportData) -> Page:
    """Returns the page of a study."""
    study = data.results.study
    table = drift_table(data)
    colors = {method_title(name): method_color(name, data.methods) for name in data.methods}
    main = drift_by_layer(
        table,
        colors,
        drift_is=drift_definition(study, study.primary_measure),
        answer=[],
        caption="Line: mean over the models shown; points: single models; band: smallest to largest.",
    )
    return Page(
        title=f"Drift of {study.model}: {study.name}",
        subtitle=f"Study {study.name}",
        headline=f"How far {study.model} moved",
        cautions=first_lines(data),
        tiles=[],
        filters=_filters(data),
        main=main,
        views=study_views(data),
        runs=RunTable(table.head(0), {}),
        methods_text="",
        provenance=[],
        commands=[],
        downloads=[],
    )


def _filters(data: ReportData) -> list[Filter]:
    study = data.results.study
    return [
        Filter("task", "Task", [(task_title(t), task_title(t)) for t in data.tasks], []),
        Filter("arm", "Method", [(method_title(m), method_title(m)) for m in data.methods], []),
        Filter("seed", "Seed", [(s, str(s)) for s in study.seeds], []),
        Filter(
            "measure",
            "Measure",
            [(m, drift_definition(study, m)) for m in data.drift_measures],
            [study.primary_measure],
            several=False,
        ),
        Filter(
            "step", "Step", [(0, "end of training"), *((s, str(s)) for s in data.checkpoint_steps)], [0], several=False
        ),
        Filter("site", "Site", [("resid_post", "residual stream")], ["resid_post"], several=False),
    ]
