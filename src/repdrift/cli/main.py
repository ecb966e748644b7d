"""The command line: one file per subcommand; user errors become one readable message and exit code 1."""

from __future__ import annotations

import sys

import typer

from repdrift.core.errors import RepdriftError
from repdrift.version import __version__

app = typer.Typer(
    name="repdrift",
    help="How fine-tuning moves a language model's representations, layer by layer.\n\n"
    "Try [bold]repdrift demo[/bold] first: the whole job on a packaged model, in minutes, without a network.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

# name: module; a module's function of the same name is the command. Help is shown in this order.
_COMMANDS = (
    "demo",
    "compare",
    "train",
    "extract",
    "analyze",
    "visualize",
    "run",
    "status",
    "power",
    "push",
    "pull",
    "verify",
    "measures",
    "tasks",
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def _register() -> None:
    import importlib

    for name in _COMMANDS:
        module = importlib.import_module(f"repdrift.cli.{name}")
        app.command(name)(getattr(module, name))


_register()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 if what was asked is done, 1 on a user error, 2 on wrong usage."""
    try:
        app(args=arguments)
    except RepdriftError as error:
        sys.stderr.write(f"repdrift: error: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nrepdrift: stopped; what is finished is kept, the same command goes on from there\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
