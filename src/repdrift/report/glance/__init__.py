"""The end of a command on one screen: a headline, a small table, the most serious cautions, and where all the rest stands."""

from repdrift.report.glance.comparison_glance import comparison_glance
from repdrift.report.glance.screen import Screen, screen_of
from repdrift.report.glance.study_glance import study_glance

__all__ = ["Screen", "comparison_glance", "screen_of", "study_glance"]
