"""drift_analysis_summary.md: the answer first, in plain words."""

from repdrift.drift.summary.document import summary_markdown

__all__ = ["summary_markdown"]
