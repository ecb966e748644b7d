"""The gate in Markdown and on the terminal: the verdict first, what failed before what passed, cautions, names as texts."""

import re

from markdown_it import MarkdownIt

from repdrift.comparison.gate import Gate, error_markdown, gate_lines, gate_markdown, judge
from tests.unit.comparison.gate.gated_comparisons import comparison, layer, model

FINE, HIGH, OPEN = layer(0, 0.1, 0.01), layer(1, 0.9, 0.01), layer(2, 0.32, 0.2)


def report(*models, **more):
    return judge(comparison(*models, **more), Gate(0.3))


def table_of(markdown):
    html = MarkdownIt("commonmark").enable("table").render(markdown)
    return re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL), html


def test_what_failed_stands_first_in_the_table():
    rows, html = table_of(gate_markdown(report(model("a", [FINE, HIGH, OPEN]))))
    assert "<h2>repdrift gate: failed</h2>" in html
    assert "drift in layer 1" in rows[1]
    assert "<strong>failed</strong>" in rows[1]
    assert len(rows) == 4


def test_a_number_that_only_its_interval_lets_pass_is_named():
    found = report(model("a", [FINE, OPEN]))
    assert found.verdict == "passed"
    assert "a, drift in layer 2: It is not shown to be above the limit of 0.3, nor to keep it" in gate_markdown(found)
    lines = gate_lines(found)
    assert lines[0] == "gate passed: none of 2 numbers is shown to be above its limit; 1 shown not to be above it"
    assert "More samples would tell." in " ".join(lines[1:])


def test_a_gate_that_all_keep_says_so():
    (line,) = gate_lines(report(model("a", [FINE])))
    assert line == "gate passed: none of 1 number is shown to be above its limit; all are shown to keep it"


def test_terminal_names_the_worst_and_counts_the_rest():
    many = [layer(k, 0.4 + k / 100, 0.001) for k in range(9)]
    lines = gate_lines(report(model("a", many)))
    assert lines[0] == "gate failed: 9 of 9 numbers shown to be above the limit"
    assert lines[1].startswith("  a, drift in layer 8: 0.48 (0.48 to 0.48), limit 0.3.")
    assert lines[-1] == "  and 6 more that failed"
    assert len(lines) == 5
    assert max(map(len, gate_lines(report(model("long" * 9, [OPEN]))))) <= 100


def test_many_numbers_are_cut_with_a_word_and_all_failures_come_first():
    many = [layer(k, 0.1 + (k == 70), 0.001) for k in range(96)]
    rows, html = table_of(gate_markdown(report(model("a", many))))
    assert len(rows) == 41
    assert "layer 70" in rows[1]
    assert "56 more numbers" in html


def test_one_reason_for_many_numbers_is_said_once():
    markdown = gate_markdown(report(model("a", [layer(k, 0.5) for k in range(9)]), pooling="tokens"))
    assert markdown.count("It has no interval: tokens of one text are not independent") == 1
    assert "a, drift in layer 2; and 6 more numbers: It has no interval" in markdown


def test_cautions_and_models_that_were_not_compared_stand_there():
    lost = model("b", status="not comparable", reason="it has another tokenizer")
    noted = model("a", [FINE], notes=["Its weights are rounded."])
    markdown = gate_markdown(
        report(noted, lost, headline=["Mind the sinks."], warnings=["Mind the sinks.", "Few rows."])
    )
    for said in (
        "**Mind the sinks.**",
        "a: Its weights are rounded.",
        "Few rows.",
        "not compared: it has another tokenizer",
    ):
        assert said in markdown
    assert markdown.count("Few rows.") == 1


def test_names_are_texts_in_markdown():
    name = "[x](http://evil) <img src=x onerror=alert(1)> | `a`\x1b[2J\n# head"
    markdown = gate_markdown(report(model(name, [HIGH]), data=name, base=name)) + error_markdown(name)
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    assert "<img" not in html
    assert "<a " not in html
    assert "\x1b" not in html
    assert len(re.findall("<h1", html)) == 0
