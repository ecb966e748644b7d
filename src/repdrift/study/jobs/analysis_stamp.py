"""Says what an analysis and its figures were made from, so that they are made again if anything of it changed, and only then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from repdrift.core.errors import DataError, RepdriftError
from repdrift.core.fingerprint import config_sha256, unchanged_file_sha256
from repdrift.core.hidden_secrets import shown
from repdrift.core.reading import reading_errors, stands_there
from repdrift.core.records.base import Record, library_versions
from repdrift.core.records.representation_set import METADATA_FILE
from repdrift.core.records.results import RESULTS_FILE, DriftResults
from repdrift.core.records.run import RUN_FILE
from repdrift.outcomes.outcome_files import record_path
from repdrift.report.build import DASHBOARD_FILE
from repdrift.study.config import StudyConfig
from repdrift.study.configuration_differences import field_differences
from repdrift.study.drift_plan import drift_plan
from repdrift.study.made_from import outcomes_made_from
from repdrift.study.runs import ANALYSIS_FOLDER, FIGURES_FOLDER, JOBS_FOLDER
from repdrift.training import finished_runs

_STAMPS = "made_from"
_PLACES = frozenset({"results_dir", "base_dir", "data_dir", "stores"})
"""Fields that say where things lie: an analysis of the same files elsewhere is the same."""


class Stamp(Record):
    """Names all that an output was made from. inputs: SHA-256 by file. output_sha256: of the file that is written last."""

    format_version: int = 1
    config: dict[str, Any]
    inputs: dict[str, str]
    output_sha256: str
    versions: dict[str, str]


class AnalysisStamps:
    """The stamps of a study's analysis and of its figures. tasks: those that are analysed. name: what the study is called in results."""

    def __init__(self, config: StudyConfig, tasks: Sequence[str], name: str) -> None:
        self._config, self._tasks, self._name = config, list(tasks), name
        self._folder = config.results_dir / JOBS_FOLDER / _STAMPS
        self._results = config.results_dir / ANALYSIS_FOLDER / RESULTS_FILE
        self._page = config.results_dir / FIGURES_FOLDER / DASHBOARD_FILE

    def analysis_changed(self, *, tables: bool = True) -> str | None:
        """Says why the analysis on the disk is not that of the study as it is now; None if it is. tables: hold its tables to their checksums too."""
        found = self._changed("analyze", self._results, self._analysis_inputs)
        if found is not None or not tables:
            return found
        try:
            digests = DriftResults.read(self._results).table_sha256
        except DataError as error:
            return str(error)
        for name, digest in digests.items():
            path = self._results.with_name(name)
            if not path.is_file() or _sha256(path) != digest:
                return f"{path} is missing, or was changed"
        return None

    def figures_changed(self) -> str | None:
        """Says why the figures on the disk are not those of the analysis; None if they are."""
        return self._changed("visualize", self._page, self._figure_inputs)

    def stamp_analysis(self) -> None:
        """Write what the analysis on the disk was made from just now."""
        self._write("analyze", self._results, self._analysis_inputs())

    def stamp_figures(self) -> None:
        """Write what the figures on the disk were made from just now."""
        self._write("visualize", self._page, self._figure_inputs())

    def _changed(self, what: str, output: Path, inputs: Any) -> str | None:
        path = self._folder / f"{what}.json"
        if not output.is_file():
            return f"{output} is not there"
        try:
            stamp = Stamp.read(path) if stands_there(path) else None
        except DataError:
            stamp = None
        if stamp is None or stamp.output_sha256 != _sha256(output):
            return f"{output} was written by another command, so what it was made from is not known"
        if differ := field_differences(stamp.config, self._content()):
            return (
                f"changed: {', '.join(map(str, differ[:3]))}{f' and {len(differ) - 3} more' if len(differ) > 3 else ''}"
            )
        if differ := field_differences(stamp.versions, library_versions()):
            return f"other libraries: {', '.join(map(str, differ[:3]))}"
        now = inputs()
        changed = [name for name in {**stamp.inputs, **now} if stamp.inputs.get(name) != now.get(name)]
        if changed:
            return f"{len(changed)} of its inputs changed, such as {min(changed)}"
        return None

    def _write(self, what: str, output: Path, inputs: dict[str, str]) -> None:
        Stamp(config=self._content(), inputs=inputs, output_sha256=_sha256(output), versions=library_versions()).write(
            self._folder / f"{what}.json"
        )

    def _content(self) -> dict[str, Any]:
        whole = self._config.model_dump(mode="json", exclude=set(_PLACES))
        content = {**whole, "tasks analysed": self._tasks, "name in results": self._name}
        # A file never holds a secret, also not under the names that a record writes as they are, such as `tasks`.
        return shown({**content, "outcomes made from": config_sha256(outcomes_made_from(self._config))})

    def _analysis_inputs(self) -> dict[str, str]:
        return {str(path): _sha256(path) for path in self._input_files() if path.is_file()}

    def _input_files(self) -> Iterator[Path]:
        try:
            plan = drift_plan(self._config, self._name, tasks=self._tasks)
        except RepdriftError:  # the analysis says what is wrong
            return
        for base in plan.bases.values():
            yield from (base.folder / METADATA_FILE, base.identity / METADATA_FILE)
        for planned in (*plan.sets, *plan.random_changes):
            yield planned.folder / METADATA_FILE
        for outcomes in plan.outcomes:
            yield from (record_path(outcomes.folder, name) for name in outcomes.names)
        yield from (found.folder / RUN_FILE for found in finished_runs(self._config.results_dir))

    def _figure_inputs(self) -> dict[str, str]:
        return {str(self._results): _sha256(self._results)}


def _sha256(path: Path) -> str:
    with reading_errors(path):
        return unchanged_file_sha256(path)
