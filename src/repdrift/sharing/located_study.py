"""A study by what its user names: a study file, a packaged study, or the folder of its results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import ConfigError, DataError, MissingRunError
from repdrift.core.reading import listed_folder
from repdrift.core.records.comparison import COMPARISON_FILE
from repdrift.core.records.results import RESULTS_FILE, DriftResults
from repdrift.core.words import listed
from repdrift.sharing.found_results import results_file_at
from repdrift.study.config import StudyConfig, load_study, packaged_studies, packaged_study, parse_study
from repdrift.study.configuration_text import configuration_text
from repdrift.study.runs import ANALYSIS_FOLDER
from repdrift.study.yaml_file import parse_yaml

_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class LocatedStudy:
    """A study whose analysis is on the disk.

    config: its configuration; None where neither a study file nor the results tell it. where: what the user named.
    """

    where: str
    results: DriftResults
    results_file: Path
    results_dir: Path
    config: StudyConfig | None
    notes: tuple[str, ...] = ()

    @property
    def analysis_dir(self) -> Path:
        """The folder of the analysis."""
        return self.results_file.parent


def locate_study(where: str) -> LocatedStudy:
    """Finds the analysis that `where` names: a study file, a packaged study, or a folder of results.

    The configuration is that which the analysis was made with, if the results tell it. Raises ConfigError or DataError if the study or its
    results cannot be read, MissingRunError if the study was not analysed.
    """
    path = Path(where).expanduser()
    if path.is_dir() or path.name == RESULTS_FILE:
        return _of_folder(where, path)
    if path.suffix.lower() == ".zip":
        raise ConfigError(
            f"{where} is an exported study; expected a study file, a packaged study or a folder of results."
        )
    if where in packaged_studies() and not path.exists():
        return _of_config(where, packaged_study(where))
    if path.suffix.lower() not in _YAML and not path.is_file():
        raise ConfigError(
            f"no study at {where}: expected a study file, a folder of results, or one of the packaged studies {listed(packaged_studies())}."
        )
    return _of_config(where, load_study(path))


def _of_config(where: str, config: StudyConfig) -> LocatedStudy:
    file = config.results_dir / ANALYSIS_FOLDER / RESULTS_FILE
    if not file.is_file():
        raise MissingRunError(
            f"the study {where} was not analysed: expected {file}. `repdrift analyze --config {where}` makes it; if it lies elsewhere, name the folder."
        )
    results = DriftResults.read(file)
    then = configuration_of(results)
    notes: tuple[str, ...] = ()
    if then is None:
        notes = (
            "The results do not say which configuration the analysis had (they are of an older version): it is that of the study file as it is now.",
        )
    elif _without_places(then) != _without_places(config):
        notes = (
            f"The study file {where} was changed, or the analysis had other options, since it says something else than the analysis: the configuration is that of the analysis.",
        )
    chosen = config if then is None else then.model_copy(update=_places(config))
    return LocatedStudy(where, results, file, config.results_dir, chosen, notes)


def _of_folder(where: str, path: Path) -> LocatedStudy:
    file = results_file_at(path)
    if file.name == COMPARISON_FILE:
        raise DataError(
            f"{where} holds a comparison, expected the results of a study. A comparison is whole in its folder: share that; `repdrift card {where}` "
            "makes its section for a model card."
        )
    results = DriftResults.read(file)
    results_dir = file.parent.parent if file.parent.name == ANALYSIS_FOLDER else file.parent
    config, notes = configuration_of(results), ()
    if results.study.merged is not None and results.study.merged.from_tables:
        notes = (
            "This study was merged from tables, so that it has no configuration of its own: those of its parts stand in their archives.",
        )
    elif config is None:
        config = _study_file_beside(results_dir)
        notes = (
            (
                "The results do not say which configuration the analysis had (they are of an older version), and no study file beside them names this folder. "
                "Name the study file in place of the folder to have its configuration."
            )
            if config is None
            else "The results do not say which configuration the analysis had (they are of an older version): it is that of the study file beside them as it is now.",
        )
    if config is not None:
        config = config.model_copy(update={"results_dir": results_dir, "base_dir": _base_dir(config, results_dir)})
    return LocatedStudy(where, results, file, results_dir, config, notes)


def configuration_of(results: DriftResults) -> StudyConfig | None:
    """Returns the configuration that the results tell; None for those of older versions. Raises ConfigError if it cannot be read."""
    text = results.study.configuration
    if text is None:
        return None
    where = f"the configuration in the results of {results.study.name}"
    return parse_study(parse_yaml(text, where=where), where=where)


def _study_file_beside(results_dir: Path) -> StudyConfig | None:
    """The one study file in the folder above whose results are in `results_dir`; None if there is none, or several."""
    found: list[StudyConfig] = []
    for folder in dict.fromkeys((results_dir.resolve(), results_dir.resolve().parent)):
        for file in listed_folder(folder):
            if file.suffix.lower() in _YAML and file.is_file():
                try:
                    config = load_study(file)
                except ConfigError:
                    continue  # another YAML file
                if config.results_dir.resolve() == results_dir.resolve():
                    found.append(config)
    return found[0] if len(found) == 1 else None


def _base_dir(config: StudyConfig, results_dir: Path) -> Path:
    """The folder of the base model's sets, wherever the study was moved, or read from: as the configuration places it beside the results; else its own."""
    whole, own = results_dir.resolve(), config.results_dir
    candidates = [results_dir.parent / config.base_dir.name]
    if not own.is_absolute() and whole.parts[-len(own.parts) :] == own.parts and not config.base_dir.is_absolute():
        candidates.insert(0, Path(*whole.parts[: -len(own.parts)]) / config.base_dir)
    return next((folder for folder in candidates if folder.is_dir()), config.base_dir)


def _places(config: StudyConfig) -> dict[str, Path]:
    return {"results_dir": config.results_dir, "base_dir": config.base_dir}


def _without_places(config: StudyConfig) -> str:
    return configuration_text(config.model_copy(update={"results_dir": Path(), "base_dir": Path(), "data_dir": None}))
