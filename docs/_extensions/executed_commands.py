"""Directives whose pages show what really comes out: they run while the site is built, and the build fails if they fail.

    ```{command}            the commands, one a line, with what they print. `:code: 1` is the exit code that the last one must have,
    repdrift tasks          `:error: ConfigError` the error that it must end with, `:last: 20` shows the last lines only, `:quiet:` leaves out
    ```                     progress (standard error), `:rendered:` shows Markdown as what it stands for

    ```{work-file} study.yaml     a file that the commands of the page find in their folder
    ```

    ```{raises} ShapeError        Python that must end with this error, with the message
    ```

    ```{drawn} demo/drift_by_layer.png    a picture that a command before it has drawn
    ```

    ```{page-of-results} demo/drift_analysis_results.json demo.html    draws the page of these results and links to it
    ```

    ```{study-end} demo           how the command ends that has made these results: what it prints last, from the results
    repdrift demo
    ```

A page has a folder of its own, in which the committed results (docs/results) lie as `demo`, `gallery` and `comparison`.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from nodes_of_text import code_block
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).parents[1] / "results"
PAGES = Path(__file__).parents[1] / "_build" / "extra"
"""Files that the site has as they are (`html_extra_path`)."""
COLUMNS = 86  # what fits beside the table of contents


def work_folder(env: Any, page: str) -> Path:
    """Returns the folder in which the commands of a page run, made when the page is first read."""
    folder = Path(env.srcdir) / "_build" / "work" / page
    if page not in _made:
        _made.add(page)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for results in sorted(path for path in RESULTS.iterdir() if path.is_dir()):
            shutil.copytree(results, folder / results.name)
    return folder


_made: set[str] = set()


class Command(SphinxDirective):
    """Commands of repdrift with their output."""

    has_content = True
    option_spec = {
        "code": directives.nonnegative_int,
        "error": directives.unchanged,
        "last": directives.positive_int,
        "rendered": directives.flag,
        "quiet": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        folder = work_folder(self.env, self.env.docname)
        wanted, error = self.options.get("code", 1 if "error" in self.options else 0), self.options.get("error")
        commands = [line for line in self.content if line.strip()]
        shown: list[str] = []
        for place, command in enumerate(commands):
            code, output = run_command(command, folder, quiet="quiet" in self.options)
            expected = wanted if place == len(commands) - 1 else 0
            if code != expected:
                raise self.error(f"`{command}` ended with {code}, expected {expected}:\n{output}")
            if error and place == len(commands) - 1 and error not in output:
                raise self.error(f"`{command}` should end with {error}:\n{output}")
            if "rendered" in self.options:
                return [code_block(f"$ {command}", "console"), *self.parse_text_to_nodes(output)]
            shown += [f"$ {command}", *self._shortened(output.rstrip("\n").splitlines())]
        return [code_block("\n".join(shown), "console")]

    def _shortened(self, lines: list[str]) -> list[str]:
        last = self.options.get("last")
        return lines if last is None or len(lines) <= last else ["[...]", *lines[-last:]]


def run_command(command: str, folder: Path, *, quiet: bool = False) -> tuple[int, str]:
    """Returns exit code and output, both streams as a terminal shows them. Runs in this process, which has the imports done.

    quiet: without what goes to standard error, where progress is told.
    """
    from repdrift.cli.main import main

    program, *words = shlex.split(command, comments=True)
    if program != "repdrift":
        raise ExtensionError(f"only commands of repdrift are run in pages; got {command!r}")
    output, code = io.StringIO(), 0
    with (
        _at(folder),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(io.StringIO() if quiet else output),
    ):
        try:
            main(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception:
            raise ExtensionError(f"`{command}` broke:\n{traceback.format_exc()}") from None
    return code, output.getvalue().replace(f"{folder}/", "").replace(str(folder), ".")


@contextlib.contextmanager
def _at(folder: Path) -> Iterator[None]:
    """Working folder and a terminal's width for the block; afterwards everything is as before."""
    before = {name: os.environ.get(name) for name in ("COLUMNS", "REPDRIFT_CONFIG", "REPDRIFT_DATA")}
    os.environ["COLUMNS"] = str(COLUMNS)
    for name in ("REPDRIFT_CONFIG", "REPDRIFT_DATA"):
        os.environ.pop(name, None)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Modules of the folder can be imported in the block; afterwards nothing that was imported or hidden there is left."""
    modules = dict(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name, module in sys.modules.items() if _lies_in(module, folder) or module is None]:
            del sys.modules[name]
        sys.modules.update({name: module for name, module in modules.items() if name not in sys.modules})


def _lies_in(module: Any, folder: Path) -> bool:
    return str(getattr(module, "__file__", None) or "").startswith(str(folder))


class WorkFile(SphinxDirective):
    """A file that the page's commands find in their folder."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        text = "\n".join(self.content) + "\n"
        path = work_folder(self.env, self.env.docname) / self.arguments[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        language = {".yaml": "yaml", ".py": "python", ".jsonl": "json"}.get(path.suffix, "text")
        block = code_block(text.rstrip("\n"), language)
        caption = nodes.caption("", "", nodes.literal(text=self.arguments[0]))
        return [nodes.container("", caption, block, literal_block=True, classes=["literal-block-wrapper"])]


class Raises(SphinxDirective):
    """Python that must end with an error of ours, and its message."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        program, names = "\n".join(self.content), {}
        folder = work_folder(self.env, self.env.docname)
        with _at(folder), _importable(folder), contextlib.redirect_stdout(io.StringIO()):
            try:
                exec(program, names)  # noqa: S102  (our own page)
            except Exception as error:
                found, message = type(error).__name__, str(error)
            else:
                raise self.error(f"expected {self.arguments[0]}, and nothing was raised")
        if found != self.arguments[0]:
            raise self.error(f"expected {self.arguments[0]}, got {found}: {message}")
        return [code_block(program, "python"), code_block(f"{found}: {message}", "text")]


class Drawn(SphinxDirective):
    """A picture that a command of this page has drawn. The content is what it shows, for readers who cannot see it."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = work_folder(self.env, self.env.docname) / self.arguments[0]
        if not path.is_file():
            raise self.error(f"no command of this page has drawn {self.arguments[0]}")
        image = nodes.image(uri=f"/{path.relative_to(self.env.srcdir).as_posix()}", alt=" ".join(self.content))
        return [image]


class StudyEnd(SphinxDirective):
    """The end of `repdrift run`, `analyze` or `demo` on a terminal, made from committed results as these commands make it."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        from repdrift.core.records.results import RESULTS_FILE
        from repdrift.report.glance import Screen, study_glance
        from repdrift.report.report_data import read_report_data

        folder = work_folder(self.env, self.env.docname) / self.arguments[0]
        data = read_report_data(folder / RESULTS_FILE)
        lines = study_glance(data.results, data.table, {}, Screen(COLUMNS))
        return [code_block("\n".join([f"$ {self.content[0]}", "[...]", *lines]), "console")]


class PageOfResults(SphinxDirective):
    """A link to the page of results, which is drawn and lies in the site as `pages/NAME`. The content is the link's words."""

    has_content = True
    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        results, name = self.arguments
        command = f"repdrift visualize --results-file {results} --output-dir page_of_results"
        folder = work_folder(self.env, self.env.docname)
        code, output = run_command(command, folder)
        if code:
            raise self.error(f"`{command}` ended with {code}:\n{output}")
        page = (folder / "page_of_results" / "dashboard.html").read_bytes()
        return [link_to_page(self.env, name, page, " ".join(self.content))]


def link_to_page(env: Any, name: str, page: bytes, words: str) -> nodes.paragraph:
    """Put a page that repdrift has drawn into the site, as `pages/NAME`. Returns a link to it."""
    (PAGES / "pages").mkdir(parents=True, exist_ok=True)
    (PAGES / "pages" / name).write_bytes(page)
    up = "../" * env.docname.count("/")
    return nodes.paragraph("", "", nodes.reference("", words, refuri=f"{up}pages/{name}", internal=False))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives. Pages are read one after another, since commands change the working folder."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
    app.add_directive("command", Command)
    app.add_directive("work-file", WorkFile)
    app.add_directive("raises", Raises)
    app.add_directive("drawn", Drawn)
    app.add_directive("study-end", StudyEnd)
    app.add_directive("page-of-results", PageOfResults)
    PAGES.mkdir(parents=True, exist_ok=True)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
