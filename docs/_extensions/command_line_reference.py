"""`{command-line}`: every command with its help, from the program itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import typer.main
from docutils import nodes
from nodes_of_text import code_block, definitions, paragraph, section
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_MARKUP = re.compile(r"\[/?(?:bold|italic|dim|red|green|yellow|cyan)\]")
_KINDS = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}


class CommandLine(SphinxDirective):
    """A section for each command: its help, arguments and options."""

    def run(self) -> list[nodes.Node]:
        from repdrift.cli.main import app

        commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        return [self._command(name, command) for name, command in commands.items()]

    def _command(self, name: str, command: Any) -> nodes.section:
        made = section(self.state.document, f"repdrift {name}", f"repdrift-{name}")
        arguments = [_metavar(p) for p in command.params if not _is_option(p)]
        made += code_block(" ".join([f"repdrift {name}", "[OPTIONS]", *arguments]), "text")
        made += list(_help(command.help or ""))
        shown = [p for p in command.params if not getattr(p, "hidden", False)]
        for panel in dict.fromkeys(getattr(p, "rich_help_panel", None) for p in shown):
            made += nodes.rubric(text=panel or ("Arguments and options" if arguments else "Options"))
            of_panel = [p for p in shown if getattr(p, "rich_help_panel", None) == panel]
            made += definitions((_term(p), [paragraph(_meaning(p))]) for p in of_panel)
        return made


def _help(text: str) -> Iterator[nodes.Node]:
    """Yields paragraphs; the command of an example is a block of its own."""
    for part in inspect.cleandoc(_MARKUP.sub("", text)).split("\n\n"):
        words = " ".join(part.split())
        found = re.fullmatch(r"([^.:]+): ((?:repdrift|torchrun) .+)", words)
        if found:
            yield paragraph(f"{found[1]}:")
            yield code_block(found[2], "bash")
        elif words:
            yield paragraph(words)


def _is_option(parameter: Any) -> bool:
    return parameter.opts[0].startswith("-")


def _term(parameter: Any) -> list[nodes.Node]:
    terms: list[nodes.Node] = []
    flags = [*parameter.opts, *parameter.secondary_opts] if _is_option(parameter) else [_metavar(parameter)]
    for flag in sorted(flags, key=len, reverse=True):
        terms += [nodes.Text(", ")] if terms else []
        terms.append(nodes.literal(text=flag))
    if _is_option(parameter) and not parameter.is_flag:
        terms += [nodes.Text(" "), nodes.emphasis(text=_metavar(parameter))]
    return terms


def _metavar(parameter: Any) -> str:
    """Returns the name of an argument, or what an option takes: a kind of value, or the values there are."""
    several = "..." if parameter.nargs != 1 else ""
    if parameter.metavar:
        return parameter.metavar.strip("<>")
    if not _is_option(parameter):
        return parameter.name.upper() + several
    described = parameter.type_descriptor
    if described.choices:
        return ", ".join(map(str, described.choices))
    kind = described.annotation
    return _KINDS.get(get_args(kind)[0] if get_origin(kind) is list else kind, "VALUE")


def _meaning(parameter: Any) -> str:
    words = _MARKUP.sub("", parameter.help or "")
    limits = [f"at least {parameter.min:,}"] if getattr(parameter, "min", None) is not None else []
    limits += [f"at most {parameter.max:,}"] if getattr(parameter, "max", None) is not None else []
    words += f" {' and '.join(limits).capitalize()}." if limits else ""
    if isinstance(parameter.show_default, str):
        words += f" Default: {parameter.show_default}."
    elif parameter.show_default and parameter.default not in (None, (), []):
        words += f" Default: `{parameter.default}`." if not isinstance(parameter.default, bool) else ""
    return f"{words} Required." if parameter.required else words


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
