"""The figure of sites in a comparison: drift inside the blocks, a panel for every model, a line for every site."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.compared_site_words import model_sites
from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.records.sites import RESID_POST
from repdrift.core.shared_paths import shareable
from repdrift.core.site_words import in_site_order, is_in_block, site_title
from repdrift.report.captioned_figure import caption_lines_of, captioned_figure
from repdrift.report.labels import plain
from repdrift.report.rendering import Drawing, png_and_pdf_files
from repdrift.report.site_style import RANDOM_CHANGE, site_axis, site_look
from repdrift.report.style import FAINT, GREY, legend_columns

FIGURE_NAME = "drift_by_site"
_COLUMNS = 2
_PANEL_IN, _LINE_IN = 1.9, 0.14
_LEGEND_PT = 7
_MOST_PANELS = 12


def site_figures(result: Comparison) -> dict[str, bytes]:
    """Draws the figure. Returns the contents of a PNG and a PDF file by name; nothing if no other site than the residual stream was measured."""
    return png_and_pdf_files(FIGURE_NAME, site_drawing(result))


def site_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the figure; None if no other site than the residual stream was measured."""
    if not any(model.sites for model in result.compared):
        return None
    shared = shareable(result)
    return lambda: _figure(shared)


def _figure(result: Comparison) -> Figure:
    models = [model for model in result.compared if model.sites][:_MOST_PANELS]
    columns = min(_COLUMNS, len(models))
    rows = math.ceil(len(models) / columns)
    caption = caption_lines_of(_caption(result))
    keys = _keys(models)
    across = legend_columns([str(key.get_label()) for key in keys], _LEGEND_PT, most=4)
    above = 0.7 + _PANEL_IN * rows + _LINE_IN * math.ceil(len(keys) / across)
    figure, (panels,) = captioned_figure([above], caption)
    grid = panels.subplots(rows, columns, sharey=True, sharex=True, squeeze=False)
    for axes, model in zip(grid.flat, models, strict=False):
        _panel(axes, model)
        axes.set_title(plain(model.name) + "*" * bool(model.notes))
        layers = sorted({at.layer for _, at_site in _sites(model) for at in at_site})
        blocks = sorted({at.layer for site, at_site in _sites(model) if is_in_block(site) for at in at_site})
        site_axis(axes, layers, blocks, room=1 / columns)
    for axes in list(grid.flat)[len(models) :]:
        axes.remove()
    panels.supylabel("drift, 1 - debiased CKA", fontsize=8)
    panels.legend(handles=keys, loc="outside lower center", ncols=across, fontsize=_LEGEND_PT)
    panels.suptitle(f"Drift inside the blocks, from {plain(result.base)}", fontsize=9)
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
        keys.append(Line2D([], [], color=GREY, label="random change as large as the model's", **RANDOM_CHANGE))
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
