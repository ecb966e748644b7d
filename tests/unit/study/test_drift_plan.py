"""From a study to what its analysis compares: which method with which, and what each is in words."""

from repdrift.study.config import parse_study
from repdrift.study.drift_plan import drift_plan

ARMS = ["lora", "full_finetune", {"name": "lora_r64", "kind": "lora", "rank": 64}]


def _plan(**more):
    content = {"name": "x", "model": "somebody/some-model", "tasks": ["mrpc", "sst2"], "seeds": [1], "methods": ARMS}
    return drift_plan(parse_study(content | more, where="x"), None)


def test_every_other_method_is_compared_with_the_reference_in_the_order_of_the_study():
    plan = _plan()
    assert (plan.reference_method, plan.comparison_methods) == ("full_finetune", ["lora", "lora_r64"])
    assert [(p.comparison_method, p.several_arms) for p in plan.contrasts()] == [("lora", True), ("lora_r64", True)]
    assert list(_plan(reference="lora").comparison_methods) == ["full_finetune", "lora_r64"]
    alone = _plan(methods=["full_finetune"])
    assert (list(alone.comparison_methods), alone.contrasts()) == ([], [])


def test_layer_grids_take_the_measures_that_a_study_names_and_else_cka_alone():
    assert _plan().grid_measures == ()
    assert _plan(analysis={"measures": ["cka", "cosine"]}).grid_measures == ("cka", "cosine")


def test_methods_have_words_unless_their_name_says_what_they_are():
    words = _plan().method_words
    assert words.keys() == {"lora", "lora_r64"}
    assert words["lora_r64"].startswith("LoRA, rank 64")


def test_options_that_differ_between_tasks_are_said_with_the_tasks():
    plan = _plan(training={"tasks": {"sst2": {"lora": {"rank": 4}}}})
    assert plan.method_words["lora"] == "LoRA, rank 8 on MRPC; LoRA, rank 4 on SST-2"


def test_tasks_whose_samples_come_in_groups_are_known():
    own = {"name": "own", "validation": "v.csv", "text_columns": ["t"], "group_column": "speaker"}
    plan = _plan(tasks=["mrpc", "squad_v2", "squad_v2_words", own])
    assert list(plan.grouped_tasks) == ["squad_v2", "squad_v2_words", "own"]
