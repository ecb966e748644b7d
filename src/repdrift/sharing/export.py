"""Exports a study: one archive with all that its analysis found, by which it can be read, drawn and checked again."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from repdrift.core.atomic import write_together
from repdrift.core.errors import ConfigError, DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.hidden_secrets import without_secrets
from repdrift.core.progress import say
from repdrift.core.quoted_examples import record_without_examples
from repdrift.core.reading import listed_folder, reading_errors
from repdrift.core.records.export import (
    ANALYSIS_PART,
    CARD_FILE,
    CONFIGURATION_FILE,
    FIGURES_PART,
    FINGERPRINTS_FILE,
    READ_ME_FILE,
    ExportManifest,
)
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, TABLE_CSV, TABLE_PARQUET, DriftResults
from repdrift.core.shared_paths import shareable, with_shared_paths
from repdrift.core.words import counted
from repdrift.drift.hidden_texts import without_texts
from repdrift.drift.summary import summary_markdown
from repdrift.report import visualize
from repdrift.report.report_data import read_report_data
from repdrift.sharing.archive_writing import listed_files, write_archive
from repdrift.sharing.cards.study_card import study_card
from repdrift.sharing.fingerprints import StudyRecords, study_records
from repdrift.sharing.located_study import LocatedStudy
from repdrift.sharing.read_me import read_me
from repdrift.sharing.sizes import size_words
from repdrift.study.configuration_text import configuration_text
from repdrift.version import __version__


@dataclass(frozen=True)
class Exported:
    """An archive that was written. bytes: its size."""

    path: Path
    bytes: int
    manifest: ExportManifest


def export_study(
    study: LocatedStudy, target: Path, *, sample_texts: bool | None = None, with_figures: bool = True
) -> Exported:
    """Writes the archive `target` (`.zip`), whole or not at all. Equal input gives equal bytes.

    sample_texts: whether texts of the data may stand in it; None: as the study says, and not if it is not known. with_figures: draw figures and page.
    Raises ConfigError for a target that is no .zip file, or texts that the study hides; DataError if results or tables are missing or damaged;
    StorageError if the archive cannot be written.
    """
    if target.suffix.lower() != ".zip" or target.is_dir():
        raise ConfigError(
            f"expected the name of a zip archive to write, such as {target.with_suffix('.zip').name}; got {target}."
        )
    texts, why = _texts_shown(study, sample_texts)
    results = shareable(study.results if texts else without_texts(study.results)).without_secrets()
    files = _analysis(study, results)
    records = study_records(study)
    for name, record in records.runs.items():
        files[name] = shareable(record if texts else record_without_examples(record)).file_text().encode()
    files[FINGERPRINTS_FILE] = shareable(records.fingerprints).file_text().encode()
    if study.config is not None:
        files[CONFIGURATION_FILE] = with_shared_paths(configuration_text(study.config)).encode()
    left_out = _left_out(study, records, None if texts else why)
    if with_figures:
        say("drawing figures and page")
        files |= _drawn({name: content for name, content in files.items() if name.startswith(f"{ANALYSIS_PART}/")})
    else:
        left_out.append("Figures and page: not asked for. `repdrift visualize` draws them from the unpacked results.")
    notes = [with_shared_paths(without_secrets(note)) for note in study.notes]
    left_out = [with_shared_paths(without_secrets(sentence)) for sentence in left_out]
    files[READ_ME_FILE] = read_me(results, list(files), left_out, notes).encode()
    manifest = ExportManifest(
        study=results.study.name,
        analysed=results.created,
        repdrift=__version__,
        sample_texts=texts,
        files=listed_files(files),
        left_out=left_out,
        notes=notes,
    )
    return Exported(target, write_archive(target, files, manifest), manifest)


def _texts_shown(study: LocatedStudy, wanted: bool | None) -> tuple[bool, str]:
    """Tells whether texts of the data may be exported, and in a sentence why not."""
    said = study.config.analysis.sample_texts if study.config is not None else None
    if said is False and wanted:
        raise ConfigError(
            f"the study {study.where} says `sample_texts: false`, so that its texts are not exported. Export without --sample-texts, or change the study and analyse it again."
        )
    if said is None and wanted is None:
        return (
            False,
            "Texts of the data: it is not known whether they may be shown. --sample-texts exports those that the results hold.",
        )
    shown = said if wanted is None else wanted
    why = "--no-sample-texts was given" if said else "the study says `sample_texts: false`"
    return bool(shown), f"Texts of the data: {why}. Ids, labels and numbers stand."


def _analysis(study: LocatedStudy, results: DriftResults) -> dict[str, bytes]:
    """The files of the analysis: the results and their summary as they may be shown, and the tables as they are."""
    data = read_report_data(study.results_file)  # holds results and tidy table to each other
    names = list(study.results.table_sha256) or [
        n for n in (TABLE_PARQUET, TABLE_CSV) if (study.analysis_dir / n).is_file()
    ]
    files: dict[str, bytes] = {}
    for name in names:
        path = study.analysis_dir / name
        again = "Run `repdrift analyze` to make it anew."
        with reading_errors(path, next_step=again):
            if not path.is_file():
                raise DataError(f"the table {path} that was written with the results is not there. {again}")
            if study.results.table_sha256.get(name) not in (None, file_sha256(path)):
                raise DataError(f"{path} is not the table that was written with the results. {again}")
            files[f"{ANALYSIS_PART}/{name}"] = path.read_bytes()
    files[f"{ANALYSIS_PART}/{RESULTS_FILE}"] = results.file_text().encode()
    files[f"{ANALYSIS_PART}/{SUMMARY_FILE}"] = summary_markdown(results, data.table).encode()
    files[CARD_FILE] = study_card(replace(data, results=results)).encode()
    return files


def _drawn(analysis: dict[str, bytes]) -> dict[str, bytes]:
    """Figures and page, drawn from the files of the analysis as they are exported."""
    with tempfile.TemporaryDirectory(prefix="repdrift-export-") as made:
        folder = Path(made)
        write_together(folder, {name.split("/")[-1]: content for name, content in analysis.items()})
        visualize(folder / RESULTS_FILE, folder / FIGURES_PART)
        files: dict[str, bytes] = {}
        for path in listed_folder(folder / FIGURES_PART):
            with reading_errors(path):
                files[f"{FIGURES_PART}/{path.name}"] = path.read_bytes()
    return files


def _left_out(study: LocatedStudy, records: StudyRecords, why_no_texts: str | None) -> list[str]:
    found = [
        "Logs, journals, losses of every step and the scores of every row that training kept; the results hold their curves and means."
    ]
    if records.sets:
        said = counted(records.sets, "representation set")
        found.insert(0, f"The {said}{_size(records.set_bytes)}. Without them no drift can be measured anew.")
    if records.runs:
        found.insert(0, f"Weights of the {counted(len(records.runs), 'trained model')}{_size(records.weight_bytes)}.")
    if study.config is None:
        found.append(f"The configuration ({CONFIGURATION_FILE}): it is not known, see the notes.")
    if why_no_texts is not None:
        found.append(why_no_texts)
    return [*found, *(f"Fingerprints: {sentence}" for sentence in records.fingerprints.missing)]


def _size(count: int) -> str:
    return f", {size_words(count)}" if count else ""
