"""Right and wrong answers of the final models of a study, sample by sample, as their task scores keep them."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.reading import stands_there
from repdrift.core.records.outcomes import RIGHT_OR_WRONG, RunOutcomes
from repdrift.core.words import counted, method_title
from repdrift.drift.analysis_plan import DriftPlan, PlannedSet
from repdrift.drift.sample_groupings import Grouping, groupings
from repdrift.outcomes.outcome_files import read_items, record_path

_SCORES = "task_scores"


def answer_groups(
    plan: DriftPlan, runs: Sequence[PlannedSet], ids: Sequence[str], notes: list[str]
) -> list[list[Grouping]]:
    """Groups by what each run answers right, for runs of one method in their order; empty where they cannot be had.

    ids: of the samples, which name the rows that were scored. notes: takes a sentence on samples that were not scored.
    The records are known to be of these models. Raises CorruptSetError or DataError for files that cannot be read.
    """
    found: list[list[Grouping]] = []
    for run in runs:
        planned = next(
            (
                of
                for of in plan.outcomes
                if (of.task, of.method, of.seed, of.step) == (run.task, run.method, run.seed, run.step)
            ),
            None,
        )
        if planned is None or _SCORES not in planned.names:
            return []
        path = record_path(planned.folder, _SCORES)
        record = RunOutcomes.read(path) if stands_there(path) else None
        if record is None or not (scores := [info.name for info in record.outcomes if info.name in RIGHT_OR_WRONG]):
            return []
        items = read_items(planned.folder, record)
        score = items[items["outcome"] == scores[0]].set_index("item")["value"]
        if unknown := [name for name in ids if name not in score.index]:
            notes.append(
                f"{method_title(run.method)}: samples are not grouped by right and wrong answers, since {counted(len(unknown), 'sample')} of {len(ids)} "
                f"{'is' if len(unknown) == 1 else 'are'} not among the rows that were scored."
            )
            return []
        found.append(groupings(answers={scores[0]: (score.loc[list(ids)] >= 1).tolist()}).groups)
    return found
