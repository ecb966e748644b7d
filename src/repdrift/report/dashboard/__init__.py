"""The dashboard: one self-contained HTML page."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from repdrift.report.tables import ReportData

_CHECK_WORDS = {True: "passed", False: "failed", None: "not possible"}
_CLAIMS = {"comparison_drifts_less": "drifts less", "reduction_exceeds_target": "drifts less by the target or more"}


@dataclass(frozen=True)
class DrawnFigure:
    """One figure as the page shows it."""

    name: str
    title: str
    caption: str
    png: bytes

    @property
    def data_url(self) -> str:
        """The picture itself, for the page to carry."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def dashboard_html(data: ReportData, drawn: list[DrawnFigure]) -> str:
    """The page. Every name from outside is escaped; nothing is loaded from elsewhere."""
    environment = Environment(
        loader=PackageLoader("repdrift.report", "dashboard"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["number"] = _number
    environment.filters["percent"] = _percent
    environment.filters["pvalue"] = _pvalue
    results = data.results
    return environment.get_template("page.html").render(
        study=results.study,
        results=results,
        answer=[t for t in results.tests if t.task == "all" and t.layer is None],
        figures=drawn,
        drift=_drift_rows(data),
        layers=data.layers,
        reductions=[r for r in results.reductions if r.layer is None],
        tests=[t for t in results.tests if t.layer is None],
        claims=_CLAIMS,
        checks=[(check, _CHECK_WORDS[check.passed]) for check in results.sanity],
        noise=_noise_sentence(data),
        runs=[(run, _scores(run.metrics)) for run in results.runs],
    )


def _drift_rows(data: ReportData) -> list[tuple[str, str, int, list[float | None], float | None]]:
    rows: list[tuple[str, str, int, list[float | None], float | None]] = []
    for task in data.results.study.tasks:
        for method in data.methods:
            drift = data.drift(task, method)
            means = drift.mean(axis=0).reindex(data.layers)
            values = [None if pd.isna(v) else float(v) for v in means]
            rows.append((task, method, len(drift), values, float(means.mean()) if len(drift) else None))
    return rows


def _noise_sentence(data: ReportData) -> str:
    checked = data.primary["above_noise"].dropna()
    if checked.empty:
        return "How large the noise of extraction is could not be measured: there is no second extraction of the base model."
    above = int(checked.sum())
    return f"{above} of {len(checked)} measured drifts (task, method, seed, layer) lie above the noise of extraction itself."


def _scores(metrics: dict[str, float | None]) -> str:
    return ", ".join(f"{k} {v:.3f}" for k, v in metrics.items() if v is not None and k != "train_loss")


def _number(value: float | None) -> str:
    return "missing" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"


def _pvalue(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
