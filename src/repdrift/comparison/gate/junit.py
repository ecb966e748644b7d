"""A gate's verdicts as a JUnit XML file, which pipelines read: one test case for each model and gated number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from repdrift.comparison.gate.judging import GateReport, Judged
from repdrift.comparison.gate.summary import cautions_of, how_judged, numbers_in_words
from repdrift.core.shown_text import for_terminal

_NOT_IN_XML = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow, not even as an entity; and the carriage return, which readers turn into another character."""
_SUITE = "repdrift gate"


@dataclass(frozen=True)
class _Counts:
    """Numbers of test cases, and the wall time of the comparison in seconds."""

    tests: int
    failures: int = 0
    errors: int = 0
    seconds: float = 0.0


def junit_xml(report: GateReport) -> bytes:
    """Returns the file: a failure for what is above its limit, an error for what could not be judged."""
    result = report.comparison
    failed, unjudged = report.of("failed"), report.of("not judged")
    counts = _Counts(len(report.judged), len(failed), len(unjudged), result.wall_time_s)
    root, suite = _suite(counts, result.created)
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in {
        "base": result.base,
        "data": result.data,
        "samples": str(result.samples),
        "pooling": result.pooling,
        "repdrift": result.versions.get("repdrift", "not known"),
        "verdict": report.verdict,
    }.items():
        ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    for one in report.judged:
        _case(suite, one)
    ElementTree.SubElement(suite, "system-out").text = _text("\n".join([how_judged(report), *cautions_of(result)]))
    return _bytes(root)


def error_xml(message: str, created: str) -> bytes:
    """Returns the file of a gate that judged nothing, since the command failed.

    message: why. created: the time, in ISO 8601.
    """
    root, suite = _suite(_Counts(1, errors=1), created)
    ElementTree.SubElement(suite, "properties")
    case = ElementTree.SubElement(suite, "testcase", classname=_SUITE, name="comparison", time="0")
    _outcome(case, "error", "not judged", f"Nothing was judged, since the command failed: {message}")
    ElementTree.SubElement(suite, "system-out")
    return _bytes(root)


def _suite(counts: _Counts, created: str) -> tuple[ElementTree.Element, ElementTree.Element]:
    """The root and the one suite in it, with the attributes that strict readers want."""
    numbers = {
        "tests": str(counts.tests),
        "failures": str(counts.failures),
        "errors": str(counts.errors),
        "time": f"{counts.seconds:.2f}",
    }
    root = ElementTree.Element("testsuites", {"name": "repdrift", **numbers})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _SUITE, **numbers, "skipped": "0"})
    suite.set("timestamp", created[:19])  # the strict schema takes no time zone
    suite.set("hostname", "localhost")  # wanted by the schema; the machine's own name is nobody's business
    return root, suite


def _case(suite: ElementTree.Element, one: Judged) -> None:
    classname = f"{_SUITE}.{_text(one.model)}"
    case = ElementTree.SubElement(suite, "testcase", classname=classname, name=_text(one.what), time="0")
    said = f"{numbers_in_words(one)} {one.reason}"
    if one.verdict == "failed":
        _outcome(case, "failure", "above its limit", said)
    elif one.verdict == "not judged":
        _outcome(case, "error", "not judged", said)
    else:
        ElementTree.SubElement(case, "system-out").text = _text(said)


def _outcome(case: ElementTree.Element, tag: str, kind: str, reason: str) -> None:
    words = _text(reason)
    ElementTree.SubElement(case, tag, message=" ".join(words.split()), type=kind).text = words


def _text(text: str) -> str:
    """A text from outside as XML can hold it. Marks and quotes are escaped when the file is written."""
    return _NOT_IN_XML.sub("", for_terminal(text))


def _bytes(root: ElementTree.Element) -> bytes:
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"
