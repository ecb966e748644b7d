"""Each error class has a page, each page has its class, and the terminal names the page."""

from __future__ import annotations

import inspect

import pytest

from repdrift.core import errors
from repdrift.core.errors import RepdriftError, UnknownNameError, kind_of_error
from tests.command_line import run_here
from tests.documentation.pages import DOCS, blocks

FOLDER = DOCS / "reference" / "errors"
CLASSES = {name for name, thing in vars(errors).items() if inspect.isclass(thing) and issubclass(thing, RepdriftError)}


def test_every_class_has_a_page_and_every_page_a_class():
    assert {path.stem for path in FOLDER.glob("*.md")} - {"index"} == CLASSES


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_page_says_what_it_means_and_what_to_do_with_an_example_that_is_run(name):
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert "**Means**" in text
    assert "**What to do**" in text
    shown = [b for b in blocks() if b.page.endswith(f"/{name}.md") and b.kind in {"{command}", "{raises}"}]
    expected = [b.options.get("error") or b.argument for b in shown]
    assert expected == (["DataError"] if name == "RepdriftError" else [name])


@pytest.mark.parametrize("name", sorted(CLASSES - {"RepdriftError"}))
def test_the_index_names_every_page_and_the_page_names_the_built_in_class(name):
    assert f"[{name}]({name}.md)" in (FOLDER / "index.md").read_text(encoding="utf-8")
    built_in = [kind.__name__ for kind in getattr(errors, name).__bases__ if kind.__module__ == "builtins"]
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert all(f"`{kind}`" in text for kind in built_in)


def test_the_terminal_names_the_page(tmp_path):
    said = run_here("python -m repdrift measures ckaa", tmp_path, fails=True).stderr.splitlines()
    assert said[-1] == "repdrift: help: docs/reference/errors/UnknownNameError.md"
    assert (DOCS.parent / said[-1].split(": ")[-1]).is_file()


def test_a_class_made_elsewhere_has_the_page_of_its_parent():
    class OtherError(UnknownNameError):
        pass

    assert kind_of_error(OtherError("x")) == "UnknownNameError"
