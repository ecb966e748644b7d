"""The gate of `repdrift compare`: limits for drift and outcomes, judged by the lower end of an interval, for a pipeline that must fail."""

from repdrift.comparison.gate.judging import GateReport, judge
from repdrift.comparison.gate.junit import error_xml, junit_xml
from repdrift.comparison.gate.limits import GATED_OUTCOMES, Gate, GateOutcome, gate_options, require_judgeable
from repdrift.comparison.gate.summary import error_markdown, gate_lines, gate_markdown, gate_result

__all__ = [
    "GATED_OUTCOMES",
    "Gate",
    "GateOutcome",
    "GateReport",
    "error_markdown",
    "error_xml",
    "gate_lines",
    "gate_markdown",
    "gate_options",
    "gate_result",
    "judge",
    "junit_xml",
    "require_judgeable",
]
