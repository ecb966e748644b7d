"""Merges studies of one base model to one analysis: measured anew where representation sets are at hand, else from tables."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import ConfigError, StorageError
from repdrift.core.progress import say
from repdrift.core.reading import listed_folder, stands_there
from repdrift.core.records.merged import MergedSource, MergedStudy
from repdrift.core.records.results import DriftResults
from repdrift.core.shared_paths import shared_path
from repdrift.core.words import counted, method_title, task_title
from repdrift.drift import analyze
from repdrift.sharing.merge_checks import require_mergeable
from repdrift.sharing.merge_sources import MergeSource, read_sources
from repdrift.sharing.merged_config import merged_config
from repdrift.sharing.merged_folder import CONFIGURATION, MergedFolder
from repdrift.sharing.merged_tables import analyse_tables
from repdrift.study.drift_plan import drift_plan
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import ANALYSIS_FOLDER


@dataclass(frozen=True)
class Merged:
    """A merged analysis. analysis: the folder of its files. study_file: of the merged study; None if only tables were at hand."""

    results: DriftResults
    table: pd.DataFrame
    analysis: Path
    study_file: Path | None


def merge_studies(
    names: Sequence[str],
    output: Path,
    *,
    renames: Mapping[str, Mapping[str, str]] | None = None,
    name: str | None = None,
) -> Merged:
    """Makes one analysis of several studies in the folder `output`, which should be empty or absent.

    names: study files, folders of results, or exported archives; they are called A, B, ... renames: by such a label, old and new names of
    arms. name: the merged study's; None joins theirs. Nothing is left in `output` if the merge is refused.
    Raises SampleSetMismatchError with every reason if the studies must not be merged, ConfigError and DataError as their readers do, and
    StorageError if `output` cannot be written.
    """
    _require_empty(output)
    with ExitStack() as held:
        sources = read_sources(list(names), renames or {}, held)
        cautions = require_mergeable(sources)
        without = [source for source in sources if source.no_sets is not None]
        said = MergedStudy(
            from_tables=bool(without),
            sources=_parts(sources),
            command=_command(names, output, renames or {}, name),
            cautions=cautions,
        )
        study_name = name or "_and_".join(dict.fromkeys(source.results.study.name for source in sources))
        try:
            if without:
                for source in without:
                    say(f"{source.named}: {source.no_sets}")
                results, table = analyse_tables(sources, said, study_name, output / ANALYSIS_FOLDER)
                return Merged(results, table, output / ANALYSIS_FOLDER, None)
            return _from_sets(sources, said, study_name, output)
        except BaseException:
            shutil.rmtree(output, ignore_errors=True)  # links and copies alone
            raise


def _from_sets(sources: Sequence[MergeSource], said: MergedStudy, name: str, output: Path) -> Merged:
    config = merged_config(sources, name, output / "results", output / "base_representations")
    with storage_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        say(f"putting {counted(len(sources), 'study', 'studies')} together in {output}")
        MergedFolder(config, output, made).write(sources, said)
        with storage_errors(output):
            made.chmod(0o755)
            if output.is_dir():
                output.rmdir()
            made.rename(output)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    file = output / CONFIGURATION
    inputs = StudyInputs(config, str(file))
    plan = drift_plan(config, str(file), samples_of=inputs.sample_set, general_text=lambda: inputs.general_text)
    target = config.results_dir / ANALYSIS_FOLDER
    results, table = analyze(plan, target)
    return Merged(results, table, target, file)


def _require_empty(output: Path) -> None:
    if stands_there(output) and not output.is_dir():
        raise StorageError(f"cannot write to {output}: it is a file. Name a new folder: --output DIR")
    if output.is_dir() and listed_folder(output):
        raise ConfigError(
            f"{output} is not empty; expected a new folder, since a merge never mixes its files with others. Name another one: --output DIR"
        )


def _parts(sources: Sequence[MergeSource]) -> list[MergedSource]:
    taken: set[tuple[str, str, int]] = set()
    found: list[MergedSource] = []
    for source in sources:
        models = [model for model in source.finals if model not in taken]
        taken.update(models)
        found.append(
            MergedSource(
                label=source.label,
                study=source.results.study.name,
                where=shared_path(source.where),
                analysed=source.results.created,
                repdrift=source.results.versions.get("repdrift"),
                models=[f"{task_title(task)}, {method_title(method)}, seed {seed}" for task, method, seed in models],
                renamed=dict(source.renamed),
                commands=source.results.study.commands,
            )
        )
    return found


def _command(names: Sequence[str], output: Path, renames: Mapping[str, Mapping[str, str]], name: str | None) -> str:
    options = [
        word
        for label, of in renames.items()
        for old, new in of.items()
        for word in ("--rename", f"{label}:{old}={new}")
    ]
    return shlex.join(
        ["repdrift", "merge", *names, "--output", str(output), *options, *(["--name", name] if name else [])]
    )
