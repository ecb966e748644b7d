"""The figure of sites in a comparison: drift inside the blocks, a panel for every model, a line for every site."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.compared_site_words import model_sites
from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.records.sites import RESID_POST
from repdrift.core.shared_paths import shareable
from repdrift.core.site_words import in_site_order, is_in_block, site_title
from repdrift.report.captioned_figure import caption_lines_of, put_caption
from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import FONT_PT, fitted, fitted_names, wrapped
from repdrift.report.panels import draw_grid, label_outer, legend_above, panel_plan, panel_title
from repdrift.report.rendering import Drawing
from repdrift.report.site_style import RANDOM_CHANGE, site_axis, site_look
from repdrift.report.style import FAINT, GREY

FIGURE_NAME = "drift_by_site"
_PANEL_IN = 1.6


def site_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the figure; None if no other site than the residual stream was measured."""
    if not any(model.sites for model in result.compared):
        return None
    shared = shareable(result)
    return lambda: _figure(shared)


def _figure(result: Comparison) -> Figure:
    every = [model for model in result.compared if model.sites]
    plan = panel_plan(len(every), _PANEL_IN, besides_in=3.6)
    models = every[: plan.shown]
    figure = Figure()
    panels = draw_grid(figure, plan, sharey=True, sharex=True)
    names = fitted_names([model.name for model in models], plan.width_pt, FONT_PT)
    for axes, model, name in zip(panels, models, names, strict=True):
        _panel(axes, model)
        panel_title(axes, name + "*" * bool(model.notes), (), plan.width_pt + 8)
        layers = sorted({at.layer for _, at_site in _sites(model) for at in at_site})
        blocks = sorted({at.layer for site, at_site in _sites(model) if is_in_block(site) for at in at_site})
        site_axis(axes, layers, blocks, room=plan.room)
    label_outer(panels, plan)
    keys = _keys(models)
    title = f"Drift inside the blocks, from {fitted(result.base, 200, FONT_PT)}"
    above = legend_above(figure, keys, [str(key.get_label()) for key in keys], most=4, title=title)
    left = plan.says_what_is_left_out("comparison.json has all models").strip()
    below = put_caption(figure, caption_lines_of([*([left] if left else []), *_caption(result)]))
    height = 0.3 + above + _PANEL_IN * plan.rows + below
    drift = "\n".join(wrapped("drift, 1 - debiased CKA", 72 * (_PANEL_IN * plan.rows - 0.5)))
    # Beside the panels, not in the middle of a figure that a long caption makes higher.
    figure.supylabel(drift, y=(below + 0.2 + _PANEL_IN * plan.rows / 2) / height, fontsize=FONT_PT)
    figure.set_size_inches(page_width_in(), height)
    return figure


def _panel(axes: Axes, model: ComparedModel) -> None:
    for site, layers in _sites(model):
        look, at = site_look(site), [each.layer for each in layers]
        axes.plot(at, [each.drift for each in layers], **look)
        low = np.array([np.nan if each.drift_low is None else each.drift_low for each in layers])
        high = np.array([np.nan if each.drift_high is None else each.drift_high for each in layers])
        axes.fill_between(at, low, high, color=look["color"], alpha=0.15, linewidth=0)
        random = [np.nan if each.random_change_drift is None else each.random_change_drift for each in layers]
        axes.plot(at, random, color=look["color"], **RANDOM_CHANGE)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)


def _sites(model: ComparedModel) -> list[tuple[str, list[LayerDrift]]]:
    return [(RESID_POST, model.layers), *((of.site, of.layers) for of in model.sites)]


def _keys(models: list[ComparedModel]) -> list[Line2D]:
    sites = in_site_order([site for model in models for site, _ in _sites(model)])
    keys = [Line2D([], [], **site_look(site), label=site_title(site)) for site in sites]
    if any(at.random_change_drift is not None for model in models for of in model.sites for at in of.layers):
        keys.append(Line2D([], [], color=GREY, label="random change", **RANDOM_CHANGE))
    return keys


def _caption(result: Comparison) -> list[str]:
    """The figure in words: for each model where its change enters and whether attention or MLP drifts more; and what is left out."""
    said = ["Bands are 95 % intervals over samples, where there are any. A site drifts too where only its input does."]
    for model in result.compared:
        section = model_sites(result, model)
        if section is not None:
            lines = (*section.answer[:2], *section.left_out)
            said += [line if f", {model.name}:" in line else f"{model.name}: {line}" for line in lines]
            said += [f"{model.name}: {note}" for note in model.notes]
    return said
