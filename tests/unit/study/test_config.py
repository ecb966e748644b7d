import pytest

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.study.config import load_study, packaged_studies, packaged_study, parse_study
from repdrift.study.runs import planned_runs, set_folder

MINIMAL = {"name": "x", "model": "packaged:minilm"}


def test_packaged_studies_load_and_are_those_in_the_studies_folder():
    from pathlib import Path

    assert packaged_studies() == ["demo", "demo_all_tasks", "lora_vs_full", "minilm"]
    folder = Path(__file__).parents[3] / "studies"
    for name in packaged_studies():
        assert load_study(folder / f"{name}.yaml") == packaged_study(name)


def test_demo_on_all_tasks_takes_over_the_runs_of_the_demo():
    """Whoever has run the demo trains only the other two tasks with `--all-tasks`."""
    demo, all_tasks = packaged_study("demo"), packaged_study("demo_all_tasks")
    assert set(demo.task_names) < set(all_tasks.task_names) == {"sst2", "mrpc", "rte", "squad_v2"}
    assert (demo.model, demo.data_dir, demo.seeds) == (all_tasks.model, all_tasks.data_dir, all_tasks.seeds)
    for run in planned_runs(demo):
        where = run.task, run.method
        assert demo.training_options(*where) == all_tasks.training_options(*where)
        assert demo.arm(*where) == all_tasks.arm(*where)


def test_default_study_is_the_one_of_the_specification():
    study = packaged_study("lora_vs_full")
    assert study.model == "HuggingFaceTB/SmolLM2-1.7B"
    assert study.seeds == (42, 1337, 2024)
    assert study.task_names == ["squad_v2", "mrpc", "sst2", "rte"]
    assert study.extraction.samples == 750
    assert study.analysis.target_reduction == 0.2
    assert all(
        study.training_options(t, m).batch_size in range(2, 5) for t in study.task_names for m in study.method_names
    )


def test_every_fault_is_listed_with_a_suggestion():
    bad = {
        **MINIMAL,
        "sedes": [1],
        "tasks": ["sst_2"],
        "training": {"all": {"learning_rat": 1}},
        "methods": ["qlora"],
        "seeds": [],
    }
    with pytest.raises(ConfigError) as caught:
        parse_study(bad, where="x.yaml")
    message = str(caught.value)
    for part in (
        "5 fault(s)",
        "sedes: unknown key; did you mean 'seeds'",
        "Did you mean 'sst2'",
        "did you mean 'learning_rate'",
        "qlora",
        "at least one",
    ):
        assert part in message


def test_unknown_measure_suggests_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'cka_biased'"):
        parse_study({**MINIMAL, "analysis": {"measures": ["cka", "cka_biasd"]}}, where="x")


def test_options_of_a_task_go_over_those_of_a_method_over_those_of_all():
    study = parse_study(
        {
            **MINIMAL,
            "tasks": ["sst2", "rte"],
            "training": {
                "all": {"epochs": 1, "learning_rate": 1e-5, "batch_size": 2},
                "methods": {"lora": {"learning_rate": 1e-3, "batch_size": 3}},
                "tasks": {"rte": {"batch_size": 4}},
            },
        },
        where="x",
    )
    lora, full = (study.training_options("rte", method) for method in ("lora", "full_finetune"))
    assert (lora.epochs, lora.learning_rate, lora.batch_size) == (1, 1e-3, 4)
    assert (full.learning_rate, full.batch_size) == (1e-5, 4)
    assert study.training_options("sst2", "lora").batch_size == 3


def test_bounds_of_options_are_checked_where_they_are_written():
    with pytest.raises(ConfigError, match="training"):
        parse_study({**MINIMAL, "training": {"tasks": {"sst2": {"learning_rate": -1}}}}, where="x")


def test_missing_and_malformed_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="does not exist; packaged studies: demo"):
        load_study(tmp_path / "no.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_study(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_study(tmp_path / "list.yaml")


def test_task_of_ones_own_reads_its_files(tmp_path):
    from repdrift.tasks import load_rows

    path = tmp_path / "tickets.csv"
    path.write_text("body,urgent\nthe cat,1\nthe dog,0\n")
    entry = {"name": "tickets", "validation": str(path), "text_columns": ["body"], "label_column": "urgent"}
    study = parse_study({**MINIMAL, "tasks": [entry, "sst2"]}, where="x")
    assert study.task_names == ["tickets", "sst2"]
    assert [row["urgent"] for row in load_rows(study.spec("tickets"), "validation").rows] == [1, 0]


def test_selection_narrows_and_refuses_what_is_not_there():
    study = parse_study({**MINIMAL, "tasks": ["sst2", "rte"], "seeds": [1, 2]}, where="x")
    assert len(planned_runs(study)) == 8
    assert len(planned_runs(study, tasks=["all"])) == 8
    (run,) = planned_runs(study, tasks=["rte"], methods=["lora"], seeds=[2])
    assert str(set_folder(study, run)) == "results/phase3_representations/rte_lora_seed2/step_000000"
    with pytest.raises(UnknownNameError, match="unknown task of this study 'mrpc'.*entry under `tasks:`"):
        planned_runs(study, tasks=["mrpc"])
    with pytest.raises(UnknownNameError, match="Did you mean 'lora'"):
        planned_runs(study, methods=["loar"])
    with pytest.raises(UnknownNameError, match="unknown seed of this study '3'"):
        planned_runs(study, seeds=[3])


@pytest.mark.parametrize(
    ("columns", "message"),
    [(["text", "text"], "should be two columns, got 'text' twice"), (["text", "label"], "column 'label' is the text and the label")],
)  # fmt: skip
def test_texts_of_a_task_are_columns_of_their_own(columns, message):
    entry = {"name": "own", "validation": "x.csv", "text_columns": columns, "label_column": "label"}
    with pytest.raises(ConfigError, match=message):
        parse_study({"name": "a", "model": "b", "tasks": [entry]}, where="mine")


def arms(*entries, **rest):
    return {**MINIMAL, "tasks": ["sst2", "rte"], "methods": list(entries), **rest}


def test_arms_have_names_kinds_and_options_of_their_own():
    study = parse_study(
        arms(
            "full_finetune",
            {"name": "r64", "kind": "lora", "rank": 64},
            {"name": "magnitude", "kind": "dora"},
            training={
                "all": {"lora": {"dropout": 0.0, "rank": 4}},
                "methods": {"r64": {"learning_rate": 0.002}},
                "tasks": {"rte": {"lora": {"alpha": 32}}},
            },
        ),
        where="x",
    )
    assert study.method_names == ["full_finetune", "r64", "magnitude"]

    def options(task, name):
        return study.arm(task, name).options.model_dump()

    assert {"rank": 64, "dropout": 0.0, "alpha": 16}.items() <= options("sst2", "r64").items()
    assert {"rank": 4, "dropout": 0.0, "dora": True}.items() <= options("sst2", "magnitude").items()
    assert options("rte", "r64")["alpha"] == 32
    assert study.training_options("sst2", "r64").learning_rate == 0.002
    assert study.hyperparameters("sst2", "magnitude")["tuning"]["kind"] == "dora"
    assert [run.method for run in planned_runs(study, tasks=["rte"], seeds=[42])] == study.method_names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (arms("full_finetune", "lorra"), "unknown kind of tuning 'lorra'. Did you mean 'lora'?"),
        (arms("full_finetune", {"name": "a", "kind": "lroa"}), "arm 'a': unknown kind of tuning 'lroa'. Did you mean 'lora'?"),
        (arms("full_finetune", {"name": "a", "kind": "lora", "rnak": 3}), "arm 'a', kind lora: rnak: unknown key; did you mean 'rank'?"),
        (arms("full_finetune", {"name": "a", "kind": "lora", "rank": 0}), "arm 'a', kind lora: rank: .*greater than or equal to 1"),
        (arms("full_finetune", {"name": "lora", "kind": "ia3"}), "an arm of kind 'ia3' cannot be called 'lora'"),
        (arms("full_finetune", {"name": "base", "kind": "ia3"}), "cannot be called 'base'"),
        (arms("full_finetune", "lora", "lora"), "method 'lora' stands twice"),
        (arms("full_finetune", "lora", {"name": "same", "kind": "lora", "rank": 8}), "methods 'lora' and 'same' come to the same on sst2: LoRA, rank 8"),
        (arms("full_finetune", "dora", {"name": "same", "kind": "lora", "dora": True}), "methods 'dora' and 'same' come to the same"),
        (arms("full_finetune", "lora", reference="lroa"), "reference: 'lroa' is none of this study's methods.*name one of: full_finetune, lora"),
        (arms("lora", "dora"), "reference: 'full_finetune' is none of this study's methods"),
        (arms("full_finetune", "lora", training={"methods": {"dora": {"epochs": 1}}}), "unknown method under training.methods 'dora'"),
    ],
)  # fmt: skip
def test_faults_in_arms_are_named(content, message):
    with pytest.raises(ConfigError, match=message):
        parse_study(content, where="x.yaml")


def test_arms_that_differ_in_their_training_only_are_two():
    content = arms(
        "full_finetune",
        {"name": "slow", "kind": "lora"},
        {"name": "fast", "kind": "lora"},
        training={"methods": {"fast": {"learning_rate": 0.01}}},
    )
    assert parse_study(content, where="x").method_names == ["full_finetune", "slow", "fast"]


def test_keys_of_runs_of_older_versions_hold():
    study = parse_study(
        arms("full_finetune", {"name": "lora", "kind": "lora", "target_modules": ["query", "value"]}), where="x"
    )
    full, lora = (study.hyperparameters("sst2", name) for name in study.method_names)
    assert "lora" not in full
    assert lora["lora"] == {"rank": 8, "alpha": 16.0, "dropout": 0.05, "target_modules": ["query", "value"]}
