"""The figures of a study as files: which ones, in which formats, how wide, with a caution below them where models have not learnt."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from repdrift.core.errors import ConfigError, DataError, UnknownNameError
from repdrift.core.learnt_words import judged_models, learnt_footnote
from repdrift.core.words import listed
from repdrift.report.figure_size import FigureSize, page_width_in
from repdrift.report.figures import FigureSpec, figure_named, figures
from repdrift.report.labels import NOTE_PT, wrapped
from repdrift.report.rendering import DEFAULT_FORMATS, FORMATS, Format, rendered
from repdrift.report.report_data import ReportData
from repdrift.report.style import GREY, paper_style


def chosen_figures(data: ReportData, names: Sequence[str] | None) -> list[FigureSpec]:
    """The figures of these names in the order of the page, or all that the results can give.

    Raises UnknownNameError that lists the names there are, and DataError that says for each name why these results cannot give it.
    """
    if names is None:
        return [spec for spec in figures() if spec.possible(data)]
    if not names:
        raise ConfigError(f"no figure is named. Known: {', '.join(spec.name for spec in figures())}.")
    chosen = sorted({figure_named(name).name for name in names})
    specs = [spec for spec in figures() if spec.name in chosen]
    why = {spec.name: reason for spec in specs if (reason := spec.absent(data)) is not None}
    if why:
        can = listed([spec.name for spec in figures() if spec.possible(data)])
        said = "; ".join(f"{name}: {reason}" for name, reason in why.items())
        raise DataError(f"these results cannot give what was asked for. {said}. They can give {can}.")
    return specs


def chosen_formats(names: Sequence[str]) -> list[Format]:
    """The formats of these names, each once. Raises UnknownNameError for another one, ConfigError for none."""
    unknown = next((name for name in names if name not in FORMATS), None)
    if unknown is not None:
        raise UnknownNameError.of("format", unknown, FORMATS)
    if not names:
        raise ConfigError(f"no format is named. Known: {', '.join(FORMATS)}.")
    return [kind for kind in FORMATS if kind in names]


def figure_files(
    spec: FigureSpec, data: ReportData, formats: Sequence[Format] = DEFAULT_FORMATS, size: FigureSize | None = None
) -> dict[Format, bytes]:
    """Returns one figure by format."""
    return rendered(
        lambda: with_caution(spec, data), formats, size, title=spec.title, caption=caption_of(spec, data, size)
    )


def caption_of(spec: FigureSpec, data: ReportData, size: FigureSize | None = None) -> str:
    """The caption of a figure of this size, which may not show as much as a larger one."""
    with paper_style(size):
        return spec.caption(data)


def with_caution(spec: FigureSpec, data: ReportData) -> Figure:
    """Draws a figure in the style that is set. Below it stands how many models have not learnt their task, if there are any."""
    figure = spec.draw(data)
    caution = learnt_footnote(judged_models(data.results.runs))
    if caution is not None:
        axis = figure.get_supxlabel()
        lines = wrapped(caution, 72 * page_width_in() - 12, NOTE_PT)
        # What stands there already keeps its place.
        there = next((text for text in figure.texts if axis and text.get_text() == axis), None)
        place = {} if there is None else {"x": there.get_position()[0], "ha": there.get_horizontalalignment()}
        figure.supxlabel("\n".join([axis, *lines] if axis else lines), fontsize=NOTE_PT, color=GREY, **place)
        figure.set_figheight(figure.get_figheight() + 0.12 * len(lines))
    return figure
