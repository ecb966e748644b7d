"""Report: figures, tables and the page. Reads result files only."""

from repdrift.report.build import ReportFiles, visualize

__all__ = ["ReportFiles", "visualize"]
