"""Every command of ours in a page is one that the program takes, and is run while the site is built or says why not."""

from __future__ import annotations

import re
import shlex

import pytest
import typer.main

from repdrift.cli.main import app
from tests.documentation.pages import Block, blocks

COMMANDS = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
_OURS = re.compile(r"(?:^|\s)(?:python -m )?repdrift (.*)")

NOT_RUN = {
    "README.md": "what a reader has at hand: an empty machine, models and studies of their own",
    "docs/explanation/extraction.md": "starts several processes",
    "docs/explanation/outcomes.md": "needs trained models",
    "docs/explanation/samples.md": "needs two models of the reader's",
    "docs/explanation/sites.md": "needs trained models",
    "docs/howto/ci.md": "needs two models of the reader's; tests/integration/test_gate_workflow.py runs it",
    "docs/howto/cluster.md": "several machines, and a store",
    "docs/howto/comparing.md": "needs two models of the reader's",
    "docs/howto/jobs.md": "needs a study of the reader's, and hours",
    "docs/howto/scale.md": "needs a model of many gigabytes",
    "docs/howto/stores.md": "needs a store",
    "docs/howto/sharing.md": "needs studies of the reader's; tests/integration/test_exported_study.py and test_merged_study.py run the like",
    "docs/howto/reproducing.md": "trains models of the reference study; tests/integration/test_reproduced_study.py runs the like",
    "docs/howto/installing.md": "installs a package; scripts/wheel/check_wheel.py does so",
    "docs/howto/figures.md": "reads the study of the working folder; the gallery runs it on committed results",
    "docs/howto/lm_evaluation_harness.md": "installs a package",
    "docs/howto/own_task.md": "trains six models",
    "docs/howto/phase3_workflow.md": "needs the models of the specification's study; tests/integration/test_workflow.py runs the scripts",
    "docs/howto/power.md": "reads the study of the working folder; the command below it is run on committed results",
    "docs/howto/tables.md": "reads results of the reader's; the commands beside them are run on committed results",
    "docs/reference/exit_codes.md": "needs models of the reader's",
    "docs/studies/reference/README.md": "needs data from a hub, and hours",
    "docs/tutorial/first_study.md": "installs a package, or trains twelve models; the page shows how it ends",
}
"""Pages with blocks of shell that the build of the site does not run, and why. Blocks of `{command}` are run."""


def _arguments(line: str) -> list[str] | None:
    """The arguments of a command of ours in a line of shell, from its name on; None if there is none."""
    line = line.removeprefix("$ ")
    before_next = re.split(r" \|\| | && | > ", line)[0]
    words = shlex.split(before_next, comments=True)
    found = _OURS.search(" ".join(map(shlex.quote, words)))
    return shlex.split(found[1]) if found else None


_LINES = [
    pytest.param(arguments, id=f"{block.where} {' '.join(arguments)[:40]}")
    for block in blocks()
    if block.kind in {"", "bash", "console", "{command}", "{study-end}"}
    for line in block.lines
    if (arguments := _arguments(line)) is not None
]


@pytest.mark.parametrize("arguments", _LINES)
def test_a_command_in_a_page_is_taken_by_the_program(arguments):
    name, *rest = arguments
    COMMANDS[name].make_context(f"repdrift {name}", rest)


def test_the_check_sees_a_wrong_option_a_wrong_command_and_what_is_missing():
    with pytest.raises(Exception, match="--colour"):
        COMMANDS["run"].make_context("run", ["STUDY", "--colour"])
    with pytest.raises(Exception, match=r"(?i)missing"):
        COMMANDS["compare"].make_context("compare", ["BASE"])
    assert _arguments("OMP_NUM_THREADS=2 python -m repdrift run a.yaml --dry-run  # a note") == [
        "run",
        "a.yaml",
        "--dry-run",
    ]
    assert _arguments("torchrun --standalone -m repdrift extract") == ["extract"]
    assert _arguments("pip install 'repdrift[demo]'") is None


def test_shell_that_is_not_run_says_why():
    plain = {block.page for block in blocks() if block.kind in {"bash", "console"}}
    assert plain - set(NOT_RUN) == set(), "write {command} in place of bash, or say here why it cannot be run"
    assert set(NOT_RUN) - plain == set(), "these pages have no such block any more"


def test_commands_that_are_run_come_from_us_alone():
    strange = [
        b.where for b in blocks() if b.kind == "{command}" and not all(x.startswith("repdrift ") for x in b.lines)
    ]
    assert strange == []
    assert sum(block.kind == "{command}" for block in blocks()) >= 10


def _wrong_errors(block: Block) -> list[str]:
    return [
        name for name in [block.options.get("error", ""), block.argument if block.kind == "{raises}" else ""] if name
    ]


def test_errors_that_pages_expect_exist():
    from repdrift.core import errors

    named = {name for block in blocks() for name in _wrong_errors(block)}
    assert {name for name in named if not hasattr(errors, name)} == set()
