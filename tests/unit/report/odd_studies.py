"""Studies on which figures are known to break: one layer, 96 layers, twelve arms, one seed, missing runs, negative drift, long and hostile names."""

from functools import cache

from tests.unit.report import synthetic_moved
from tests.unit.report.synthetic_results import Synthetic, report_data

LONG = "a_name_of_sixty_characters_that_differs_in_its_{}_part_only_x"
ARMS = {"lora_r64": 0.5, "dora": 0.9, "pissa": 0.01, "ia3": 0.4, "biases": 0.2, "layer_norm": 2.5, "top_two": 0.8, "rslora": 0.6, "prefix_tuning": 0.3,
        LONG.format("1st"): 0.7, LONG.format("2nd"): 0.65}  # fmt: skip
HOSTILE = ("<script>alert(1)</script>", 'a$b$ & "q" with a very long name that goes on and on', "x\ny")

STUDIES = {
    "usual": Synthetic(layers=24, seeds=(1, 2), checkpoints=(50, 100, 150), measures=("cka",)),
    "one layer, one seed, long names": Synthetic(
        tasks=(LONG.format("task"), LONG.format("data")), layers=1, seeds=(1,), checkpoints=(10,), methods=("full_finetune", LONG.format("1st"))
    ),
    "96 layers": Synthetic(tasks=("sst2", "mrpc"), layers=96, seeds=(1, 2), measures=("cka",), checkpoints=tuple(range(100, 2500, 100))),
    "twelve arms": Synthetic(
        tasks=("sst2", LONG.format("task")), layers=8, seeds=(1, 2), shares=ARMS, methods=("full_finetune", *ARMS), measures=("cka",), checkpoints=(50, 100),
        missing=((LONG.format("task"), "dora", 1), (LONG.format("task"), "dora", 2), ("sst2", "ia3", 1)), not_learnt=(("sst2", "biases", 1),),
    ),
    "negative drift, missing runs": Synthetic(
        tasks=("mrpc", "sst2"), layers=12, seeds=(1, 2), negative_below=5, lora_share=3.0, identity=False, checkpoints=(5000, 12000), learnt=None,
        missing=(("mrpc", "lora", 1), ("mrpc", "lora", 2), ("sst2", "lora", 2)),
    ),
    "one method, hostile names": Synthetic(tasks=HOSTILE, methods=("lora",), layers=3, random_change=False),
    "nothing but negative drift": Synthetic(tasks=("sst2",), layers=6, seeds=(1, 2), negative_below=6),
}  # fmt: skip


@cache
def odd_study(name):
    """The data of a study of this name, with every section that results can hold."""
    study = STUDIES[name]
    data = report_data(study)
    more = {
        "moved": synthetic_moved.moved(study),
        "sites": synthetic_moved.sites(study),
        "drift_predictors": synthetic_moved.predictors(),
        "outcomes": synthetic_moved.lost(study),
        "equal_skill": synthetic_moved.equal_skill(study) if len(study.methods) > 1 else [],
    }
    return type(data)(data.results.model_copy(update=more), data.table, data.table_name)
