"""The JUnit file holds to the rules of the usual schemas, whatever names it is given."""

import re
from xml.etree import ElementTree

import pytest

from repdrift.comparison.gate import Gate, error_xml, judge, junit_xml
from tests.unit.comparison.gate.gated_comparisons import comparison, layer, model

HOSTILE = "a<b>&\"'\x1b[31m\x00\ufffe\ud800]]>\u202e{{x}}\n\r\tend" + "x" * 60
NUMBER = re.compile(r"\d+(\.\d+)?")


def checked(content):
    """Parses a JUnit file, and holds it to the rules that Jenkins, GitLab and the Ant schema share. Returns its one suite."""
    root = ElementTree.fromstring(content.decode("utf-8"))  # noqa: S314  our own file
    assert root.tag == "testsuites"
    assert set(root.attrib) == {"name", "tests", "failures", "errors", "time"}
    (suite,) = root
    assert suite.tag == "testsuite"
    assert set(suite.attrib) == {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
    assert next(child.tag for child in suite) == "properties"
    assert [child.tag for child in suite][-1] == "system-out"
    cases = suite.findall("testcase")
    assert [child.tag for child in suite][1:-1] == ["testcase"] * len(cases), "the order of the schema"
    for case in cases:
        assert set(case.attrib) == {"classname", "name", "time"}
        assert NUMBER.fullmatch(case.get("time"))
        assert len(case) == 1
        assert case[0].tag in ("failure", "error", "system-out")
        if case[0].tag != "system-out":
            assert set(case[0].attrib) == {"message", "type"}
    for tag, counted in (("failure", "failures"), ("error", "errors")):
        assert int(suite.get(counted)) == int(root.get(counted)) == len(suite.findall(f"testcase/{tag}"))
    assert int(suite.get("tests")) == int(root.get("tests")) == len(cases) > 0
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    return suite


@pytest.fixture
def report():
    layers = [layer(0, 0.9, 0.01), layer(1, 0.9), layer(2, 0.1, 0.01)]
    notes = ["Its weights are <rounded> & \x07 moved."]
    return judge(comparison(model("a", layers, notes=notes), model(HOSTILE, layers), data=HOSTILE), Gate(0.3))


def test_one_case_for_each_model_and_number_with_its_verdict(report):
    suite = checked(junit_xml(report))
    found = {(case.get("classname"), case.get("name")): case[0].tag for case in suite.findall("testcase")}
    assert len(found) == 6
    assert found["repdrift gate.a", "drift in layer 0"] == "failure"
    assert found["repdrift gate.a", "drift in layer 1"] == "error"
    assert found["repdrift gate.a", "drift in layer 2"] == "system-out"
    failure = suite.find("testcase/failure")
    assert failure.get("message").startswith("0.90 (")
    assert "limit 0.3" in failure.get("message")


def test_names_are_escaped_and_lose_what_xml_does_not_allow(report):
    content = junit_xml(report)
    suite = checked(content)
    (name,) = {case.get("classname") for case in suite.findall("testcase")} - {"repdrift gate.a"}
    assert name.startswith("repdrift gate.a<b>&\"'\\x1b[31m\\x00")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ufffe]", content.decode())
    assert "x" * 60 in name


def test_cautions_stand_in_the_file(report):
    said = checked(junit_xml(report)).find("system-out").text
    assert "a: Its weights are <rounded> & \\x07 moved." in said
    assert "6 lower ends hold together" in said


def test_an_error_of_the_command_is_an_error_of_the_gate():
    suite = checked(error_xml(f"none of the models could be compared: {HOSTILE}", "2026-01-02T03:04:05+00:00"))
    assert "none of the models could be compared" in suite.find("testcase/error").get("message")
