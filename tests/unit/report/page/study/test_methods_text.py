from dataclasses import replace

import pytest

from repdrift.core.records.equal_skill import EqualSkill
from repdrift.report.page.study.methods_text import methods_text
from repdrift.report.page.study.provenance import provenance
from tests.unit.report.page.study.trained_study import trained_study, training
from tests.unit.report.synthetic_results import Synthetic, report_data


def of_study(data, **changes):
    study = data.results.study.model_copy(update=changes)
    return replace(data, results=data.results.model_copy(update={"study": study}))


def test_the_paragraph_has_model_tasks_methods_training_and_versions():
    data = of_study(trained_study(), base_digest="d1" * 32, compute_dtype="float32", truncated_samples={"mrpc": 7})
    said = methods_text(data)
    for part in (
        "some/model (2 layers, revision abc123, SHA-256 of the weights d1d1d1d1d1d1)",
        "MRPC (750 samples, 7 of them cut at the maximum length, sample set f0) and SST-2 (750 samples, sample set f0)",
        "full fine-tuning (50,000 of 50,000 parameters)",
        "LoRA (alpha 16, dropout 0.05, target modules query and value, 1,234 of 51,234 parameters)",
        "with seeds 1 and 2 for each task and method.",
        "Training: 3 epochs, batch size 16, float32, inputs of at most 128 tokens.",
        "MRPC has 200 training rows and 100 validation rows and SST-2 has 320 training rows",
        "pooled by the mean over real tokens; models ran in float32.",
        "Drift is 1 - debiased CKA",
        "Controls: a second extraction of the base model",
        "significance level 0.05",
        "Analysed with repdrift 0.1.0 (torch 2.8.0).",
    ):
        assert part in said, part


def test_no_sentence_stands_that_does_not_apply():
    study = Synthetic(
        tasks=("sst2",), methods=("lora",), seeds=(1,), layers=2, inference=False, identity=False, random_change=False
    )
    said = methods_text(report_data(study))
    for word in (
        "Tests:",
        "Controls",
        "resamples",
        "corrected",
        "equal skill",
        "sites",
        "Training:",
        "target",
        "alike",
        "None",
        "nan",
        "seeds",
    ):
        assert word not in said, word
    assert "The control: samples paired at random." in said
    assert "with seed 1 for each task and method." in said


def test_missing_models_are_counted():
    data = trained_study(missing=(("sst2", "lora", 2),))
    assert "(7 of 8 planned models were measured)" in methods_text(data)


def test_settings_that_differ_are_said_with_where_they_hold():
    data = trained_study()
    trained = [
        run.model_copy(update={"hyperparameters": run.hyperparameters | {"epochs": 5.0}})
        if run.method == "lora"
        else run
        for run in data.results.trained
    ]
    said = methods_text(replace(data, results=data.results.model_copy(update={"trained": trained})))
    assert "Otherwise: 3 epochs (full fine-tuning); 5 epochs (LoRA)." in said
    assert "Training: batch size 16" in said


def test_other_versions_at_training_are_named():
    assert "other versions than the analysis has: torch 1.0" in methods_text(
        trained_study(changes={"versions": {"torch": "1.0"}})
    )
    assert "other versions" not in methods_text(trained_study())


@pytest.mark.parametrize("tests", [True, False])
def test_equal_skill_is_named_only_where_it_was_tested(tests):
    data = trained_study()
    test = next(t for t in data.results.tests if t.hypothesis == "comparison_drifts_less")
    test = test.model_copy(update={"hypothesis": "comparison_drifts_less_at_equal_skill"})
    found = EqualSkill(comparison="lora", task="all", measure="cka", test=test if tests else None)
    data = replace(data, results=data.results.model_copy(update={"equal_skill": [found]}))
    assert ("at equal skill" in methods_text(data)) == tests


def test_resamples_are_named_only_where_samples_were_drawn():
    data = trained_study()
    assert "with 10,000 resamples" in methods_text(data)
    table = data.table.assign(interval="jackknife")
    reductions = [r.model_copy(update={"intervals": []}) for r in data.results.reductions]
    bare = replace(data, table=table, results=data.results.model_copy(update={"reductions": reductions}))
    assert "resamples" not in methods_text(bare)
    assert "of single drifts over samples: jackknife" in methods_text(bare)


def test_a_task_without_models_is_said_to_have_none():
    data = trained_study(missing=tuple(("sst2", m, s) for m in ("full_finetune", "lora") for s in (1, 2)))
    assert "SST-2 (no model was measured)" in methods_text(data)


def test_provenance_has_digests_in_full_and_says_what_was_not_at_hand():
    data = of_study(trained_study(only=lambda run: run.seed == 1), base_digest="d1" * 32)
    found = dict(provenance(data))
    assert found["SHA-256 of the base model's weights"] == "d1" * 32
    assert found["Fingerprint of the training rows of MRPC"] == "rows of mrpc (here)"
    assert found["Run folders"].startswith("of 4 models the folder was not at hand")
    assert "Run folders" not in dict(provenance(trained_study()))
    older = dict(provenance(report_data(Synthetic(tasks=("mrpc",), layers=2))))
    assert older["SHA-256 of the base model's weights"] == "not known: results of an older version"


def test_runs_of_other_settings_are_named_in_the_provenance():
    data = trained_study()
    trained = [training(data.results.runs[0], as_planned=False), *data.results.trained[1:]]
    found = dict(provenance(replace(data, results=data.results.model_copy(update={"trained": trained}))))
    assert found["Trained with other settings than the study has now"] == "mrpc, full_finetune, seed 1"
