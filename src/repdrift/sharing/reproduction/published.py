"""The published results of a study: their models, and which of them can be made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.reading import reading_errors
from repdrift.core.records.results import DriftResults
from repdrift.core.records.study_info import RunStatus
from repdrift.core.records.trained_run import TrainedRun
from repdrift.report.report_data import ReportData, read_report_data
from repdrift.sharing.located_study import configuration_of
from repdrift.sharing.opened_results import open_results
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId


@dataclass(frozen=True)
class PublishedModel:
    """One final model of a study, as its results have it. status: with its scores and the fingerprint of its samples."""

    run: RunId
    trained: TrainedRun
    status: RunStatus

    @property
    def name(self) -> str:
        """The name by which `--pick` takes the model."""
        return f"{self.run.task}/{self.run.method}/{self.run.seed}"


@dataclass(frozen=True)
class PublishedStudy:
    """The results of a study, its configuration, and the models whose training they describe.

    where: what the user named. sha256: of the results file.
    """

    where: str
    sha256: str
    data: ReportData
    config: StudyConfig
    models: list[PublishedModel]

    @property
    def results(self) -> DriftResults:
        """The results file."""
        return self.data.results

    def drift(self, model: RunStatus) -> NDArray[np.float64]:
        """The published drift of a final model, (layers,), by the study's primary measure."""
        return self.data.drift(model.task, model.method).loc[[model.seed]].to_numpy(dtype=np.float64)[0]

    def alike(self, run: RunId) -> list[RunStatus]:
        """The published final models of the same arm on the same task that were trained as the study says, as far as the results tell; the model itself among them."""
        others = {(t.task, t.method, t.seed) for t in self.results.trained if not t.as_planned}
        return [
            each
            for each in self.data.planned(run.task, run.method)
            if each.status == "ok"
            and (each.task, each.method, each.seed) not in others
            and _is_measured(self.data, each)
        ]


def read_published(where: str) -> PublishedStudy:
    """Reads the results of a study. where: a folder, a results file (compressed or not), an exported archive, a study file, or a packaged study.

    Raises DataError if they are damaged or a comparison, ConfigError if they do not tell how their models were trained.
    """
    with open_results(where) as opened:
        if opened.is_comparison:
            raise DataError(
                f"{where} holds a comparison: its models were not trained by repdrift; expected the results of a study."
            )
        data = read_report_data(opened.file)
        with reading_errors(opened.file):
            digest = file_sha256(opened.file)
        whole = DriftResults.read(opened.file)  # with paths that are not shortened for sharing
    results = data.results
    config = configuration_of(whole)
    if config is None:
        merged = results.study.merged
        why = (
            "it was merged from tables; name the results of one of its parts"
            if merged is not None and merged.from_tables
            else "they are of an older version; run `repdrift analyze` on the study again"
        )
        raise ConfigError(f"the results at {where} do not tell the study's configuration: {why}.")
    models = _models(data, whole.trained, where)
    if not models:
        raise ConfigError(
            f"the results at {where} tell of no model how it was trained as the study says: the folders of the runs were not on the machine that analysed "
            "them, or the study was changed since. Run `repdrift analyze` where the trained models are."
        )
    return PublishedStudy(where, digest, data, config, models)


def _models(data: ReportData, trained: Sequence[TrainedRun], where: str) -> list[PublishedModel]:
    """The final models that have a drift in every layer, and were trained as the study says. Raises DataError if one stands twice, or has no rate."""
    finals = {(r.task, r.method, r.seed): r for r in data.results.runs if r.step == 0 and r.status == "ok"}
    found: dict[tuple[str, str, int], PublishedModel] = {}
    for run in trained:
        of = (run.task, run.method, run.seed)
        if of in found:
            raise DataError(f"{where}: the training of {RunId(*of)} stands twice. Restore the results from a copy.")
        rate = run.hyperparameters.get("learning_rate")
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise DataError(
                f"{where}: the training of {RunId(*of)} has no learning rate. Restore the results from a copy."
            )
        if run.as_planned and of in finals and _is_measured(data, finals[of]):
            found[of] = PublishedModel(RunId(*of), run, finals[of])
    return list(found.values())


def _is_measured(data: ReportData, model: RunStatus) -> bool:
    """Tells whether a final model has a drift in every layer."""
    drift = data.drift(model.task, model.method)
    return model.seed in drift.index and bool(np.isfinite(drift.loc[[model.seed]].to_numpy(dtype=float)).all())
