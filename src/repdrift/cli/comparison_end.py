"""The end of `compare` on the terminal: the answer on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repdrift.core import words
from repdrift.core.progress import tell

if TYPE_CHECKING:
    from repdrift.comparison.options import ComparisonOptions
    from repdrift.core.records.comparison import Comparison


def print_comparison_end(
    result: Comparison, output_dir: Path, *, page: bool, asked: ComparisonOptions, measures: Sequence[str]
) -> None:
    """Print the answer on one screen, and where all the rest stands. page: whether it was written. measures: those that were named, by layer in the summary."""
    import sys

    from repdrift.comparison.what_moved import sections_to_ask_for
    from repdrift.core.records.comparison import COMPARISON_FILE, COMPARISON_PAGE, COMPARISON_SUMMARY
    from repdrift.core.records.results import PRIMARY_MEASURE
    from repdrift.report.glance import comparison_glance, screen_of

    named = [name for name in measures if name != PRIMARY_MEASURE]
    beside = f", with {words.listed(named)}" if named else ""
    places = {"page": f"{output_dir / COMPARISON_PAGE} (open it in a browser)"} if page else {}
    places |= {
        "summary": f"{output_dir / COMPARISON_SUMMARY} (each layer{beside}, controls, every caution)",
        "figures": f"{output_dir}, with {COMPARISON_FILE} and tables",
    }
    if asked.sections is None and (more := sections_to_ask_for()):
        places["more"] = f"--with {','.join(more)}, for more time; --full prints the summary here"
    for line in comparison_glance(result, places, screen_of(sys.stdout)):
        tell(line)
