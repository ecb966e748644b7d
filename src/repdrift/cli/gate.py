"""Options of the gate of `repdrift compare`, and what is done with them before and after the comparison."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repdrift.core.atomic import require_writable, write_text, write_together
from repdrift.core.errors import ConfigError, RepdriftError
from repdrift.core.progress import is_first_process
from repdrift.core.reading import reading_errors
from repdrift.core.records.results import PRIMARY_MEASURE

if TYPE_CHECKING:
    from repdrift.comparison.gate import Gate
    from repdrift.comparison.options import ComparisonOptions
    from repdrift.core.records.comparison import Comparison

_PANEL = "Gate for a pipeline (docs/howto/ci.md)"
_GITHUB_FILE = "GITHUB_STEP_SUMMARY"
_NOT_FINISHED = "the comparison did not finish; it is still running, or it was stopped or killed, as for lack of memory"

FailAbove = Annotated[
    float | None,
    typer.Option(
        "--fail-above",
        help="Exit with 3 if the drift of a gated layer is shown to be above this: if the lower end of its interval is.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
FailLayers = Annotated[
    str | None,
    typer.Option(
        "--fail-layers",
        help="Layers that are gated: numbers and ranges such as 0-5,8; mean for their mean; all.",
        show_default="all",
        rich_help_panel=_PANEL,
    ),
]
FailMeasure = Annotated[
    str | None,
    typer.Option(
        "--fail-measure",
        help="Measure whose drift is gated.",
        show_default="cka: debiased CKA",
        rich_help_panel=_PANEL,
    ),
]
FailSite = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-site",
        help="A site whose drift is gated: resid_post (the residual stream), or one that --site measures. May be repeated.",
        show_default="resid_post",
        rich_help_panel=_PANEL,
    ),
]
FailOutcome = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-outcome",
        "--outcome",
        metavar="NAME=LIMIT",
        help="Limit of what tuning did to outputs: forgetting, loss, output_kl, output_js, other_token, disagreement. May be repeated.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Junit = Annotated[
    Path | None,
    typer.Option(
        "--junit", help="Write the gate's verdicts as JUnit XML here.", show_default=False, rich_help_panel=_PANEL
    ),
]
MarkdownSummary = Annotated[
    Path | None,
    typer.Option(
        "--markdown-summary",
        help="Write the gate's verdicts as Markdown here, for a pull request.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
GithubSummary = Annotated[
    bool,
    typer.Option(
        "--github-summary",
        help=f"Append the same Markdown to the file that {_GITHUB_FILE} names, which GitHub Actions shows.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class GateRun:
    """A gate with the files that it writes. gate: None if no limit was given. github: the file to append to."""

    gate: Gate | None
    junit: Path | None = None
    markdown: Path | None = None
    github: Path | None = None

    @contextmanager
    def reporting_errors(self) -> Generator[None]:
        """Writes an error of the command into the gate's files too, so that no file of an earlier run stands there as its result.

        Until the comparison is finished they say that it is not: so they do if the process is killed.
        """
        self._write_error(_NOT_FINISHED, appended=False)
        try:
            yield
        except RepdriftError as error:
            self._write_error(str(error))
            raise

    def finish(self, result: Comparison, *, show: Callable[[str], None]) -> int | None:
        """Judges the comparison, writes the files and shows the verdict. Returns the exit code; None without a gate. Raises StorageError."""
        if self.gate is None:
            return None
        from repdrift.comparison.gate import gate_lines, gate_markdown, judge, junit_xml
        from repdrift.core.shared_paths import shareable

        report = judge(shareable(result).without_secrets(), self.gate)
        self._write(junit_xml(report), gate_markdown(report))
        for line in gate_lines(report):
            show(line)
        return report.exit_code

    def _write_error(self, message: str, *, appended: bool = True) -> None:
        if self.gate is not None and is_first_process():
            from repdrift.comparison.gate import error_markdown, error_xml
            from repdrift.core.shared_paths import with_shared_paths

            created, shared = datetime.now(UTC).isoformat(timespec="seconds"), with_shared_paths(message)
            self._write(error_xml(shared, created), error_markdown(shared), appended=appended)

    def _write(self, junit: bytes, markdown: str, *, appended: bool = True) -> None:
        for path, content in ((self.junit, junit), (self.markdown, markdown.encode())):
            if path is not None:
                write_together(path.parent, {path.name: content})
        if self.github is not None and appended:
            with reading_errors(self.github):
                before = self.github.read_text(encoding="utf-8", errors="replace") if self.github.exists() else ""
            write_text(self.github, f"{before}{markdown}")


def with_gated_measure(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the options that were given, so that the gated measure is measured with an interval. An unknown name is left to `gate_run`."""
    from repdrift.similarity import measures

    if name == PRIMARY_MEASURE or name not in measures("representations"):
        return dict(given)
    return {**given, "interval_measures": tuple(dict.fromkeys((*given.get("interval_measures", ()), name)))}


def gate_run(
    options: ComparisonOptions,
    *,
    limits: Mapping[str, Any],
    junit: Path | None,
    markdown: Path | None,
    github: bool,
) -> GateRun:
    """Returns the gate that the options ask for. limits: fail_above, layers, measure_name, sites and outcomes.

    Raises ConfigError for limits that cannot be judged, or files without a gate; StorageError for a file that cannot be written.
    """
    files = {"--junit": junit, "--markdown-summary": markdown, "--github-summary": github or None}
    given = [name for name, value in files.items() if value is not None]
    if all(value in (None, (), []) for value in limits.values()):
        if given:
            raise ConfigError(
                f"{given[0]} has no effect without a gate: give --fail-above, such as --fail-above 0.3, or --fail-outcome"
            )
        return GateRun(None)
    from repdrift.comparison.gate import Gate, require_judgeable

    gate = Gate.of(**limits, compared_layers=options.layers)
    require_judgeable(gate, options)
    named = os.environ.get(_GITHUB_FILE)
    if github and not named:
        raise ConfigError(
            f"--github-summary: {_GITHUB_FILE} is not set, as it is in GitHub Actions. Leave the option out elsewhere."
        )
    appended = Path(named) if github and named else None
    paths = [path for path in (junit, markdown, appended) if path is not None]
    if len({path.resolve() for path in paths}) < len(paths):
        raise ConfigError(
            "--junit, --markdown-summary and --github-summary need a file each; two of them name the same one"
        )
    for path in paths:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name a file for the gate's verdicts, such as {path / 'gate.xml'}")
        require_writable(path.parent)
    return GateRun(gate, junit, markdown, appended)
