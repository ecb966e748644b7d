"""The section for a model's README, of whatever results are named."""

from __future__ import annotations

from repdrift.core.errors import ConfigError
from repdrift.core.records.comparison import Comparison
from repdrift.core.shared_paths import shareable
from repdrift.report.report_data import read_report_data
from repdrift.sharing.cards.comparison_card import comparison_card
from repdrift.sharing.cards.study_card import ChosenRun, run_card, study_card
from repdrift.sharing.opened_results import open_results


def model_card(where: str, run: ChosenRun | None = None, model: str | None = None) -> str:
    """Returns the section in Markdown. where: a study, its folder or exported archive, or a comparison. run: one trained model of a study. model: one of a comparison.

    Raises ConfigError for a model that is not there, or options of the other kind; else as `open_results` and the readers of results do.
    """
    chosen = run or ChosenRun()
    with open_results(where) as opened:
        if opened.is_comparison:
            if not chosen.is_any:
                raise ConfigError(
                    f"{where} is a comparison: its models are chosen by --model, not by --task, --method or --seed."
                )
            return comparison_card(shareable(Comparison.read(opened.file)).without_secrets(), model)
        if model is not None:
            raise ConfigError(
                f"{where} is a study: its models are chosen by --task, --method and --seed, not by --model."
            )
        data = read_report_data(opened.file)
        return study_card(data) if chosen.is_any else run_card(opened, data, chosen)
