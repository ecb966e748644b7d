"""The evaluation stage on tiny models: numbers recomputed by another way, models that changed nothing, models that were broken."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from repdrift.core.errors import ConfigError, CorruptSetError, MissingRunError, SampleSetMismatchError
from repdrift.core.records.outcomes import RunOutcomes
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, DriftResults
from repdrift.drift import analyze
from repdrift.models import load_tokenizer, resolve_model
from repdrift.outcomes import outcome_files
from repdrift.outcomes.outcome import ScoredRows, Subject, outcomes
from repdrift.outcomes.outcome_files import items_table, record_path
from repdrift.stores import open_set
from repdrift.study import evaluation_stage
from repdrift.study.config import parse_study
from repdrift.study.drift_plan import drift_plan
from repdrift.study.evaluation_stage import evaluate_runs
from repdrift.study.extraction_stage import extract_runs
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import base_folder, outcomes_folder, planned_runs, set_folder
from repdrift.study.saved_models import saved_model
from repdrift.study.status import study_status
from repdrift.study.task_scoring import TaskScoring
from repdrift.study.training_stage import find_run, train_runs
from repdrift.tasks import SampleSet
from tests.command_line import run_here
from tests.tiny_models import WORDS, save_language_model, sentence

KINDS = {"task_scores", "flips", "probes", "outputs"}


def content_of(root, model, data, **changes):
    return {
        "name": "tiny", "model": str(model), "data_dir": str(data), "tasks": ["squad_v2", "sst2"], "methods": ["full_finetune", "lora"],
        "seeds": [1], "results_dir": str(root / "results"), "base_dir": str(root / "base"), "analysis": {"replicates": 400},
        "training": {"all": {"epochs": 1, "batch_size": 8, "max_length": 32, "doc_stride": 8, "checkpoint_every": 2, "learning_rate": 0.01}},
    } | changes  # fmt: skip


def study(root, model, data, **changes):
    return StudyInputs(parse_study(content_of(root, model, data, **changes), where="tiny"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_bert, tiny_data):
    """A folder with trained and extracted models; nobody may write to it."""
    root = tmp_path_factory.mktemp("evaluated")
    inputs = study(root, tiny_bert, tiny_data)
    runs = planned_runs(inputs.config)
    train_runs(inputs, runs)
    extract_runs(inputs, runs)
    return root


@pytest.fixture
def inputs(trained, tmp_path, tiny_bert, tiny_data):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return study(tmp_path, tiny_bert, tiny_data)


def items_of(done, name):
    return outcome_files.read_items(done.folder, done.records[name])


def test_scores_are_those_of_training_and_of_the_model_run_by_hand(inputs):
    runs = planned_runs(inputs.config)
    evaluated = evaluate_runs(inputs, runs)
    assert [set(done.measured_now) for done in evaluated] == [KINDS] * 4
    for done in evaluated:
        items, metrics = items_of(done, "task_scores"), find_run(inputs, done.run).record.metrics
        for outcome, rows in items.groupby("outcome"):
            assert rows["value"].mean() == pytest.approx(metrics[outcome])
        assert done.records["task_scores"].notes == []
    (by_hand,) = [done for done in evaluated if (done.run.task, done.run.method) == ("sst2", "full_finetune")]
    assert dict(
        zip(items_of(by_hand, "task_scores")["item"], items_of(by_hand, "task_scores")["value"], strict=True)
    ) == right_rows(find_run(inputs, by_hand.run).folder / "final_model", inputs)
    assert evaluated[0].records["probes"].not_applicable[0].reason.startswith("a probe reads classes off a layer")
    assert "no language-modelling head" in evaluated[0].records["outputs"].not_applicable[0].reason


def right_rows(folder, inputs):
    """Whether a saved classifier names the class of each row, one row at a time, with transformers alone."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = load_tokenizer(inputs.base)
    rows = inputs.rows("sst2", "validation").rows
    with torch.inference_mode():
        logits = [
            model(**tokenizer(r["sentence"], truncation=True, max_length=32, return_tensors="pt")).logits[0]
            for r in rows
        ]
    return {str(i): float(int(x.argmax()) == r["label"]) for i, (x, r) in enumerate(zip(logits, rows, strict=True))}


def test_a_second_call_measures_nothing_and_a_killed_one_ends_with_the_same_bytes(inputs, monkeypatch):
    runs = planned_runs(inputs.config, tasks=["sst2"], methods=["lora"])
    evaluate_runs(inputs, runs)
    assert [done.measured_now for done in evaluate_runs(inputs, runs)] == [()]
    top = inputs.config.results_dir / "outcomes"
    whole = {p.relative_to(top): p.read_bytes() for p in top.rglob("*.parquet")}
    assert {path.stem for path in whole} == {"task_scores", "probes"}
    shutil.rmtree(top)
    real, calls = evaluation_stage.write_items, []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(evaluation_stage, "write_items", killed)
        evaluate_runs(inputs, runs)
    (done,) = evaluate_runs(inputs, runs)
    assert len(done.measured_now) == 2, "what was finished before is kept"
    assert {p.relative_to(top): p.read_bytes() for p in top.rglob("*.parquet")} == whole
    assert not [p for p in top.rglob("*") if p.is_file() and p.suffix not in (".json", ".parquet")]


def test_other_samples_or_weights_are_measured_anew_and_never_mixed(inputs, tiny_bert, tiny_data, tmp_path):
    (run,) = planned_runs(inputs.config, tasks=["sst2"], methods=["lora"])
    first = evaluate_runs(inputs, [run])[0]
    fewer = study(tmp_path, tiny_bert, tiny_data, extraction={"samples": 12})
    (again,) = evaluate_runs(fewer, [run])
    assert set(again.measured_now) == KINDS
    assert "are of other samples" in again.records["probes"].not_applicable[0].reason
    assert again.records["probes"].key != first.records["probes"].key
    with pytest.raises(
        SampleSetMismatchError, match=r"with another sample set .* Measure again with: repdrift evaluate"
    ):
        analyze(drift_plan(inputs.config, "tiny.yaml"), tmp_path / "out")
    extract_runs(fewer, [run])
    (third,) = evaluate_runs(fewer, [run])
    assert set(third.measured_now) == {"probes"}, "the sets are others now; the rows that are scored are not"
    assert third.records["probes"].n_items == 12 * 3


def test_the_analysis_has_tables_arms_and_flips_and_reads_as_before_without(inputs, tmp_path):
    plan = drift_plan(inputs.config, "tiny.yaml")
    before, _ = analyze(plan, tmp_path / "out")
    assert before.outcomes is None
    assert not (tmp_path / "out" / "outcomes.csv").exists()
    runs = planned_runs(inputs.config)
    evaluated = evaluate_runs(inputs, runs[:3])
    found, _ = analyze(drift_plan(inputs.config, "tiny.yaml"), tmp_path / "out")
    assert found.outcomes is not None
    items = pd.read_parquet(tmp_path / "out" / "outcome_items.parquet")
    table = pd.read_parquet(tmp_path / "out" / "outcomes.parquet")
    assert len(items) == sum(record.n_items for done in evaluated for record in done.records.values())
    row = table[(table["outcome"] == "probe") & (table["layer"] == 1)].iloc[0]
    own = items[(items["outcome"] == "probe") & (items["layer"] == 1) & (items["method"] == row["method"])]
    assert row["difference"] == pytest.approx(own["value"].mean() - own["base_value"].mean())
    missing = {(m.task, m.method): m for m in found.outcomes.missing if m.outcome == "task_scores"}
    assert (
        missing["sst2", "lora"].reason
        == "not measured; make it with: repdrift evaluate --config tiny.yaml --task sst2 --method lora --seed 1"
    )
    (flips,) = found.outcomes.flips
    by_arm = {
        m: rows.set_index("item")["value"] for m, rows in items[items["outcome"] == "exact_match"].groupby("method")
    }
    changed = by_arm["lora"] - by_arm["full_finetune"]
    assert (flips.right_to_wrong, flips.wrong_to_right) == ((changed < 0).sum(), (changed > 0).sum())
    reread = DriftResults.read(tmp_path / "out" / RESULTS_FILE)
    assert reread.outcomes == found.outcomes
    left_out = {"outcomes": None, "created": "", "table_sha256": {}, "moved": None}
    assert reread.model_copy(update=left_out) == before.model_copy(update=left_out)
    by_answers = {"samples": None}  # which groups samples by right and wrong answers, where these are known
    assert reread.moved.model_copy(update=by_answers) == before.moved.model_copy(update=by_answers)
    without = study(tmp_path, inputs.config.model, inputs.config.data_dir, outcomes=[])
    assert evaluate_runs(without, runs) == []
    analyze(drift_plan(without.config, None), tmp_path / "out")
    assert not (tmp_path / "out" / "outcomes.csv").exists(), "tables of an earlier analysis would be of other results"


def test_a_run_that_is_not_trained_is_named_before_anything_is_measured(inputs):
    other = study(inputs.config.results_dir.parent, inputs.config.model, inputs.config.data_dir, seeds=[1, 7])
    with pytest.raises(MissingRunError, match="seed 7"):
        evaluate_runs(other, planned_runs(other.config))
    assert not (other.config.results_dir / "outcomes").exists()


def test_status_tells_what_is_measured_outdated_and_damaged(inputs):
    def states():
        return {(p.run.task, p.run.method): p.outcomes for p in study_status(inputs.config)}

    assert set(states().values()) == {"missing"}
    (run,) = planned_runs(inputs.config, tasks=["sst2"], methods=["lora"])
    (done,) = evaluate_runs(inputs, [run])
    assert states()["sst2", "lora"] == "finished"
    assert states()["sst2", "full_finetune"] == "missing"
    record = RunOutcomes.read(done.folder / "probes.json")
    (done.folder / "flips.json").unlink()
    assert states()["sst2", "lora"] == "unfinished"
    record.model_copy(update={"weights_digest": "of another model"}).write(done.folder / "probes.json")
    assert states()["sst2", "lora"] == "outdated"
    record.write(done.folder / "probes.json")
    (done.folder / "probes.parquet").unlink()
    assert states()["sst2", "lora"] == "damaged"
    (progress,) = [p for p in study_status(inputs.config) if p.run == run]
    assert "probes.parquet does not exist. Measure it again with: repdrift evaluate" in progress.faults[0]


def test_a_run_of_an_older_version_has_no_task_scores_and_the_reason(inputs):
    (run,) = planned_runs(inputs.config, tasks=["sst2"], methods=["lora"])
    found = find_run(inputs, run)
    found.record.model_copy(update={"class_labels": None}).write(found.folder / "run.json")
    (done,) = evaluate_runs(inputs, [run])
    assert "does not say which classes its head has" in done.records["task_scores"].not_applicable[0].reason
    assert done.records["probes"].n_items == 60


def test_checkpoints_are_measured_beside_the_final_model(inputs):
    runs = planned_runs(inputs.config, tasks=["squad_v2"], methods=["lora"])
    record = find_run(inputs, runs[0]).record
    evaluated = evaluate_runs(inputs, runs, checkpoint="all")
    assert [done.step for done in evaluated] == [0, *record.checkpoints]
    for done in evaluated[1:]:
        f1 = items_of(done, "task_scores").query("outcome == 'f1'")["value"].mean()
        assert f1 == pytest.approx(record.checkpoint_scores[done.step]["f1"]), (
            "with the threshold that this checkpoint had"
        )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["probe"], "unknown outcome 'probe'. Did you mean 'probes'?"),
        ({"probes": {"folds": 3}}, "outcome 'probes' takes no options"),
        ({"outputs": {"common_token": True}}, "common_token: unknown key; did you mean 'common_tokens'?"),
        ("probes", "expected a list of names"),
        (["probes", "probes"], "stands twice"),
    ],
)
def test_a_wrong_choice_of_outcomes_is_a_fault_of_the_study_file(tmp_path, tiny_bert, tiny_data, given, said):
    with pytest.raises(ConfigError) as caught:
        study(tmp_path, tiny_bert, tiny_data, outcomes=given)
    assert said in str(caught.value)


def test_a_study_chooses_its_outcomes(tmp_path, tiny_bert, tiny_data):
    def names(given):
        return set(study(tmp_path, tiny_bert, tiny_data, outcomes=given).config.chosen_outcomes())

    assert names(None) >= KINDS
    assert names(["probes"]) == {"probes"}
    assert names({"probes": False}) == names(None) - {"probes"}
    assert names(False) == names([]) == set()


# --- A language model, whose base can answer: every outcome of a model that is its base, and of one that was broken.


@pytest.fixture(scope="module")
def language_models(tmp_path_factory):
    """A tiny language model, a broken copy with noise on every weight, and samples."""
    from transformers import AutoModelForCausalLM

    root = tmp_path_factory.mktemp("lm")
    save_language_model(root / "base")
    shutil.copytree(root / "base", root / "copy")
    model = AutoModelForCausalLM.from_pretrained(root / "base")
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter)
    model.save_pretrained(shutil.copytree(root / "base", root / "broken"))
    return root


def subject_of(root, tuned, *, right, was_right):
    base = resolve_model(str(root / "base"))
    tokenizer = load_tokenizer(base)
    ids = tuple(tuple(tokenizer(sentence(i, 8))["input_ids"]) for i in range(16))
    samples = SampleSet("cont", tuple(map(str, range(16))), ids, None, 0, "test", tokenizer=tokenizer)
    scored = ScoredRows(samples.sample_ids, None, [outcome_scores("exact_match", right, was_right)], "exact_match")
    return Subject(
        task="cont", method="lora", seed=1, step=0, task_kind="causal_lm", num_labels=None, base=base, tuned=resolve_model(str(root / tuned)),
        samples=samples, score_rows=lambda: scored, rows_fingerprint="rows", has_scorer=True, general_text=replace(samples, task="general"),
    )  # fmt: skip


def outcome_scores(name, right, was_right):
    from repdrift.core.row_scores import RowScores

    return RowScores(name, np.array(right, dtype=float), base_values=np.array(was_right, dtype=float))


def measured(subject, name):
    outcome = outcomes.get(name)
    options = outcome.options(True)
    assert outcome.applies(subject, options) is None
    return items_table(subject, outcome.measure(subject, options).items)


def test_a_model_that_is_its_base_has_exactly_zero_everywhere(language_models):
    same = subject_of(language_models, "copy", right=[1, 0] * 8, was_right=[1, 0] * 8)
    outputs = measured(same, "outputs")
    both = outputs[outputs["outcome"].isin(("output_kl", "output_js"))]
    assert (both["value"] == 0).all()
    assert len(both) == 64
    assert (outputs[outputs["outcome"] == "top1_agreement"]["value"] == 1).all()
    forgetting = outputs[outputs["outcome"] == "forgetting"]
    assert (forgetting["value"] - forgetting["base_value"] == 0).all()
    assert set(forgetting["inputs"]) == {"general_text"}, (
        "on the task's own inputs the rise of the loss is no forgetting"
    )
    assert (measured(same, "flips")["value"] == 0).all()
    scores = measured(same, "task_scores")
    assert (scores["value"] - scores["base_value"] == 0).all()


def test_a_broken_model_is_caught_by_every_outcome(language_models):
    broken = subject_of(language_models, "broken", right=[0] * 16, was_right=[1, 0] * 8)
    outputs = measured(broken, "outputs").groupby(["outcome", "inputs"])
    for key, rows in outputs:
        if key[0] == "forgetting":
            assert (rows["value"] - rows["base_value"]).mean() > 0.3
        else:
            assert rows["value"].mean() < 0.5 if key[0] == "top1_agreement" else rows["value"].mean() > 0.1
    flips = measured(broken, "flips").groupby("outcome")["value"].sum()
    assert dict(flips) == {"right_to_wrong": 8.0, "wrong_to_right": 0.0}


def test_probes_of_the_same_set_differ_by_exactly_zero(trained, tiny_bert, tiny_data):
    inputs = study(trained, tiny_bert, tiny_data)
    (run,) = planned_runs(inputs.config, tasks=["sst2"], methods=["lora"])
    base = open_set(base_folder(inputs.config, "sst2"))
    rows = inputs.rows("sst2", "validation").rows
    subject = Subject(
        task="sst2", method="lora", seed=1, step=0, task_kind="classification", num_labels=2, base=inputs.base, tuned=inputs.base,
        samples=inputs.sample_set("sst2"), score_rows=lambda: None, rows_fingerprint="", labels={str(i): r["label"] for i, r in enumerate(rows)},
        base_set=base, tuned_set=base,
    )  # fmt: skip
    items = measured(subject, "probes")
    assert (items["value"] - items["base_value"] == 0).all()
    assert len(items) == 3 * 20
    probes = outcomes.get("probes")
    other = replace(subject, tuned_set=open_set(set_folder(inputs.config, run)))
    assert "are of other weights than those of the trained model" in (probes.applies(other, {}) or "")
    assert "every sample has the same class" in (
        probes.applies(replace(subject, labels={str(i): 1 for i in range(20)}), {}) or ""
    )
    assert "are not there. Run `repdrift extract`" in (probes.applies(replace(subject, base_set=None), {}) or "")


def test_a_language_model_study_runs_through_with_flips_from_its_base(tmp_path, tiny_language_model):
    for split, start, count in (("train", 0, 16), ("validation", 50, 12)):
        rows = [{"p": sentence(start + i, 5), "c": WORDS[i % 3]} for i in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "name": "cont", "kind": "causal_lm", "train": str(tmp_path / "train.jsonl"), "validation": str(tmp_path / "validation.jsonl"),
        "prompt_column": "p", "completion_column": "c", "scorer": "exact_match", "max_new_tokens": 2,
    }  # fmt: skip
    training = {"all": {"epochs": 2, "batch_size": 8, "max_length": 16, "learning_rate": 0.02}}
    inputs = study(tmp_path, tiny_language_model, tmp_path, tasks=[task], methods=["lora"], training=training)
    (run,) = planned_runs(inputs.config)
    train_runs(inputs, [run])
    extract_runs(inputs, [run])
    (done,) = evaluate_runs(inputs, [run])
    record, scores = find_run(inputs, run).record, items_of(done, "task_scores")
    loss = scores[scores["outcome"] == "loss"]
    assert np.average(loss["value"], weights=loss["weight"]) == pytest.approx(record.metrics["loss"])
    assert np.average(loss["base_value"], weights=loss["weight"]) == pytest.approx(record.metrics["base_loss"])
    found = find_run(inputs, run)
    older = replace(found, record=found.record.model_copy(update={"row_scores_sha256": None}))
    by_a_pass = TaskScoring(inputs, "cont").score(older, saved_model(inputs, found, 0), 0)
    for kept in by_a_pass.scores:
        rows = scores[scores["outcome"] == kept.name]
        assert np.array_equal(rows["value"], kept.values), "training kept what the saved model gives"
        assert np.array_equal(rows["base_value"], kept.base_values)
    right = scores[scores["outcome"] == "exact_match"]
    flips = items_of(done, "flips").groupby("outcome")["value"].sum()
    assert flips["wrong_to_right"] == ((right["value"] == 1) & (right["base_value"] == 0)).sum()
    assert flips["right_to_wrong"] == ((right["value"] == 0) & (right["base_value"] == 1)).sum()
    assert inputs.general_text is not None
    counts = items_of(done, "outputs").groupby("inputs")["item"].count()
    assert dict(counts) == {"task": 3 * 12, "general_text": 4 * len(inputs.general_text)}
    plan = drift_plan(inputs.config, "tiny.yaml")
    shown, _ = analyze(plan, tmp_path / "out")
    (method,) = shown.moved.samples.tasks[0].methods
    assert [(of.seed, of.strip) for of in method.strips] == [(1, strip) for strip in done.records["outputs"].strips]
    assert "predicted tokens changed most" in (tmp_path / "out" / SUMMARY_FILE).read_text(encoding="utf-8")
    hidden, _ = analyze(replace(plan, sample_texts=False), tmp_path / "hidden")
    assert hidden.moved.samples.tasks[0].methods[0].strips == []
    done.records["outputs"].model_copy(update={"strips": None}).write(record_path(done.folder, "outputs"))
    older, _ = analyze(plan, tmp_path / "older")
    assert older.moved.samples.tasks[0].methods[0].strips == []
    assert any("not shown of LoRA seed 1: " in note for note in older.moved.samples.tasks[0].notes)


def test_arms_of_other_rates_share_the_scores_of_the_base_model(inputs):
    training = {
        "all": {"max_length": 32},
        "methods": {"lora": {"learning_rate": 0.1}, "full_finetune": {"learning_rate": 0.2}},
    }
    other = study(inputs.config.results_dir.parent, inputs.config.model, inputs.config.data_dir, training=training)
    scoring = TaskScoring(other, "sst2")
    assert scoring._scorer("lora") is scoring._scorer("full_finetune")


def test_outcomes_in_another_runs_folder_are_refused(inputs, tmp_path):
    lora, full = (planned_runs(inputs.config, tasks=["sst2"], methods=[m])[0] for m in ("lora", "full_finetune"))
    evaluate_runs(inputs, [lora])
    target = outcomes_folder(inputs.config, full)
    shutil.copytree(outcomes_folder(inputs.config, lora), target)
    with pytest.raises(
        CorruptSetError, match=r"holds flips of sst2, lora, seed 1, step 0; expected flips of sst2, full_finetune"
    ):
        analyze(drift_plan(inputs.config, "tiny.yaml"), tmp_path / "out")
    (healed,) = evaluate_runs(inputs, [full])
    assert set(healed.measured_now) == KINDS
    analyze(drift_plan(inputs.config, "tiny.yaml"), tmp_path / "out")


def test_the_command_says_what_it_measured_and_goes_on_with_the_rest(inputs, tmp_path):
    (tmp_path / "tiny.yaml").write_text(
        yaml.safe_dump(
            content_of(tmp_path, inputs.config.model, inputs.config.data_dir, outcomes=["task_scores", "flips"])
        )
    )
    command = "python -m repdrift evaluate --config tiny.yaml --task sst2 --method lora"
    (folder,) = run_here(command, tmp_path).stdout.splitlines()
    assert sorted(path.name for path in Path(folder).iterdir()) == [
        "flips.json",
        "task_scores.json",
        "task_scores.parquet",
    ]
    (done,) = json.loads(run_here(f"{command} --json", tmp_path).stdout)
    assert (done["task"], done["method"], done["seed"], done["step"], done["measured_now"]) == (
        "sst2",
        "lora",
        1,
        0,
        [],
    )
    assert done["outcomes"]["task_scores"]["items"] == 20
    assert done["outcomes"]["task_scores"]["measured"] == ["accuracy"]
    assert "nothing to flip from" in done["outcomes"]["flips"]["not_applicable"][0]
    said = run_here("python -m repdrift status --config tiny.yaml", tmp_path).stdout
    assert "outcomes finished" in said
    assert "checkpoint 'x'" in run_here(f"{command} --checkpoint x", tmp_path, fails=True).stderr


def test_kept_scores_are_those_of_the_saved_models_row_by_row_and_no_model_is_run(inputs, monkeypatch, capsys):
    runs = planned_runs(inputs.config)
    for run in runs:
        scoring, found = TaskScoring(inputs, run.task), find_run(inputs, run)
        older = replace(found, record=found.record.model_copy(update={"row_scores_sha256": None}))
        for step in (0, *found.record.checkpoints):
            tuned = saved_model(inputs, found, step)
            by_a_pass = scoring.score(older, tuned, step)
            with monkeypatch.context() as patch:
                patch.setattr(TaskScoring, "_scorer", lambda *_: pytest.fail("a model was run"))
                kept = scoring.score(found, tuned, step)
            assert (list(kept.ids), kept.primary, kept.notes) == (
                list(by_a_pass.ids),
                by_a_pass.primary,
                by_a_pass.notes,
            )
            assert (kept.groups and list(kept.groups)) == (by_a_pass.groups and list(by_a_pass.groups))
            for one, other in zip(kept.scores, by_a_pass.scores, strict=True):
                assert one.name == other.name
                for name in ("values", "weights", "base_values"):
                    ours, theirs = getattr(one, name), getattr(other, name)
                    assert (ours is None) == (theirs is None)
                    assert ours is None or np.array_equal(ours, theirs), "bit for bit"
    file = find_run(inputs, runs[0]).folder / "row_scores.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    (damaged,) = evaluate_runs(inputs, runs[:1])
    assert "row_scores.parquet was changed or damaged after training: the saved model is scored again" in (
        capsys.readouterr().err
    )
    file.write_bytes(content)
    shutil.rmtree(damaged.folder)
    (whole,) = evaluate_runs(inputs, runs[:1])
    assert items_of(whole, "task_scores").equals(items_of(damaged, "task_scores"))


def test_scores_kept_of_other_rows_are_not_taken(inputs, tiny_bert, tiny_data, tmp_path):
    fewer = study(
        tmp_path,
        tiny_bert,
        tiny_data,
        training=content_of(tmp_path, tiny_bert, tiny_data)["training"]
        | {"methods": {"lora": {"max_validation_samples": 7}}},
    )
    (run,) = planned_runs(fewer.config, tasks=["sst2"], methods=["lora"])
    (done,) = evaluate_runs(fewer, [run])
    assert len(items_of(done, "task_scores")) == 7
