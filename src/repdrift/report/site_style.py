"""Colour, marker and label of each site in figures, and the axis on which the ends of the model stand beside its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from repdrift.report.figure_size import page_width_in
from repdrift.report.style import INK, layer_axis

_LOOKS: dict[str, tuple[str, str]] = {
    "resid_post": (INK, "o"),
    "attn_out": ("#0072B2", "^"),
    "mlp_out": ("#D55E00", "s"),
    "embeddings": ("#009E73", "D"),
    "final_norm": ("#CC79A7", "P"),
    "adapter_out": ("#E69F00", "v"),
}
RANDOM_CHANGE: dict[str, Any] = {"linestyle": "--", "linewidth": 0.8}


def site_look(site: str) -> dict[str, Any]:
    """Returns colour and marker of a site's line."""
    color, marker = _LOOKS.get(site, (INK, "x"))
    return {"color": color, "marker": marker, "markersize": 3}


def site_axis(axes: Axes, layers: Sequence[int], blocks: Sequence[int], *, room: float = 1.0) -> None:
    """Marks the blocks by their numbers, and what stands before and after them by `in` and `out`. room: share of the full width.

    layers: all that are drawn. blocks: those of them that are blocks.
    """
    layer_axis(axes, blocks or layers, room=room)
    ticks = {int(tick): str(int(tick)) for tick in axes.get_xticks()}
    ends = [layer for layer in layers if blocks and not min(blocks) <= layer <= max(blocks)]
    ticks |= {layer: "in" if layer < min(blocks) else "out" for layer in ends}
    if ends:  # no number so near to an end that the two would touch
        per_pt = (max(layers) - min(layers) + 1) / max(1.0, 72 * page_width_in() * room * 0.75 - 14)
        near = 20 * per_pt
        ticks = {
            at: word
            for at, word in ticks.items()
            if at in ends or all(abs(at - end) >= near for end in ends) or len(blocks) == 1
        }
    axes.set_xticks(sorted(ticks), [ticks[tick] for tick in sorted(ticks)])
    axes.set_xlim(min(layers) - 0.5, max(layers) + 0.5)
