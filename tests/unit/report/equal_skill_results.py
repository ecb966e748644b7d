"""Results of studies whose runs have paths of score and drift, as the page and the figures read them."""

from repdrift.drift.inference.equal_skill import equal_skill_claims
from tests.unit.drift.drift_tables import plan_of
from tests.unit.drift.skill_studies import study_of
from tests.unit.report.synthetic_results import Synthetic, report_data


def with_equal_skill(folder, runs, *, methods=("full_finetune", "lora"), **changes):
    """The data of a small study with these runs at equal skill. changes: of the plan."""
    table, statuses = study_of(runs)
    tasks = tuple(dict.fromkeys(table["task"]))
    plan = plan_of(folder, list(tasks), methods=list(methods), comparison_methods=methods[1:], **changes)
    data = report_data(Synthetic(tasks=tasks, layers=3, seeds=(1, 2, 3), methods=methods))
    found = equal_skill_claims(table, statuses, plan)
    return type(data)(data.results.model_copy(update={"equal_skill": found}), data.table, data.table_name)
