"""Report: figures and the dashboard page. Reads result tables only."""

from repdrift.report.build import ReportFiles, visualize

__all__ = ["ReportFiles", "visualize"]
