"""The command line: one file for each subcommand. A user error becomes one readable message and exit code 1."""

from __future__ import annotations

import sys

import typer

from repdrift.cli.empty_values import require_values
from repdrift.cli.guarded_output import STOPPED, ShownErrors, guarded_output, take_arguments
from repdrift.core.errors import RepdriftError, kind_of_error
from repdrift.core.refusals import refused
from repdrift.core.shown_text import for_terminal
from repdrift.version import __version__

app = typer.Typer(
    name="repdrift",
    cls=ShownErrors,
    help="How fine-tuning moves a language model's representations, layer by layer.\n\n"
    "Try [bold]repdrift demo[/bold] first: the whole workflow on a packaged model, in minutes, without a network.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

# Each name is a module here, and the function of the same name in it is the command. The help has this order.
_COMMANDS = (
    "demo",
    "compare",
    "tune",
    "train",
    "extract",
    "evaluate",
    "analyze",
    "visualize",
    "table",
    "run",
    "job",
    "status",
    "power",
    "push",
    "pull",
    "ls",
    "card",
    "export",
    "merge",
    "reproduce",
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
    """Run the command line and exit as docs/reference/exit_codes.md says: 0 if all that was asked is done, 1 on a user error."""
    try:
        with guarded_output():
            words = sys.argv[1:] if arguments is None else arguments
            take_arguments(words)
            require_values(words)
            app(args=arguments)
    except RepdriftError as error:
        sys.stderr.write(f"repdrift: error: {for_terminal(str(error))}\n")
        sys.stderr.write(f"repdrift: help: docs/reference/errors/{kind_of_error(error)}.md\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nrepdrift: {STOPPED}\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:  # the last net: a file that was refused where no boundary knows what it was for
        sys.stderr.write(f"repdrift: error: {for_terminal(refused(error))}\n")
        sys.exit(1)
