"""The summary's section on how the learning rates were chosen."""

from __future__ import annotations

from repdrift.core.records.tuning import StudyTuning
from repdrift.core.tuning_words import remarks_on, trial_in_words
from repdrift.core.words import markdown_text, method_title, task_title
from repdrift.drift.summary.result_tables import markdown_table


def tuning_section(tuning: StudyTuning | None) -> str:
    """Returns the text for a methods section and a table of all trials; empty for results that do not tell."""
    if tuning is None:
        return ""
    blocks = [markdown_text(tuning.methods_text)]
    rows = [
        [
            task_title(choice.task),
            method_title(choice.method),
            trial_in_words(trial),
            "; ".join(["chosen", *remarks_on(choice)]) if trial is choice.best else "",
        ]
        for choice in tuning.choices
        for trial in choice.trials
    ]
    if rows:
        blocks.append(markdown_table(["task", "method", "trial", ""], rows))
    return "\n\n".join(blocks)
