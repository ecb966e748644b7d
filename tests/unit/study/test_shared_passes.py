"""Outputs read while the models are extracted: equal to those of a pass of their own, bit for bit, and no model is run for them."""

import json
import shutil
import sys

import pytest

from repdrift.core.errors import StorageError
from repdrift.core.records.outcomes import RunOutcomes
from repdrift.outcomes.outcome import outcomes
from repdrift.outcomes.outcome_files import read_items, record_path
from repdrift.stores import RepresentationSetWriter
from repdrift.study.config import parse_study
from repdrift.study.evaluation_stage import evaluate_runs
from repdrift.study.extraction_stage import extract_runs
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import base_folder, base_states_folder, outcomes_folder, passed_folder, planned_runs
from repdrift.study.training_stage import train_runs
from tests.tiny_models import WORDS, sentence


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_language_model):
    """A folder with a fully tuned and a LoRA language model; nobody may write to it."""
    root = tmp_path_factory.mktemp("shared")
    for split, start, count in (("train", 0, 16), ("validation", 50, 12)):
        rows = [{"p": sentence(start + i, 3 + i % 6), "c": WORDS[i % 3]} for i in range(count)]
        (root / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    inputs = study_in(root, tiny_language_model)
    train_runs(inputs, planned_runs(inputs.config))
    return root


def study_in(root, model, **changes):
    task = {
        "name": "cont", "kind": "causal_lm", "train": str(root / "train.jsonl"), "validation": str(root / "validation.jsonl"),
        "prompt_column": "p", "completion_column": "c",
    }  # fmt: skip
    content = {
        "name": "tiny", "model": str(model), "data_dir": str(root), "tasks": [task], "methods": ["full_finetune", "lora"], "seeds": [1],
        "results_dir": str(root / "results"), "base_dir": str(root / "base"), "outcomes": ["outputs"],
        "extraction": {"token_budget": 30, "random_change": "none"},
        "training": {"all": {"epochs": 2, "batch_size": 8, "max_length": 16, "learning_rate": 0.02}},
    } | changes  # fmt: skip
    return StudyInputs(parse_study(content, where="tiny"))


@pytest.fixture
def inputs(trained, tmp_path, tiny_language_model):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return study_in(tmp_path, tiny_language_model)


def measured(inputs, passes):
    """The items of every run's outputs, its notes, and how many passes over task inputs evaluation needed."""
    own = passes.count("cont")
    done = evaluate_runs(inputs, planned_runs(inputs.config))
    records = [each.records["outputs"] for each in done]
    items = [read_items(each.folder, record) for each, record in zip(done, records, strict=True)]
    assert not any(passed_folder(inputs.config, each.run).exists() for each in done)
    return items, [record.notes for record in records], passes.count("cont") - own


@pytest.fixture
def passes(monkeypatch):
    """The task of every sample set that a pass over outputs was made for."""
    seen = []
    outputs = sys.modules[type(outcomes.get("outputs")).__module__]
    real = outputs.read_outputs

    def watched(base, tuned, samples, **options):
        seen.append(samples.task)
        return real(base, tuned, samples, **options)

    monkeypatch.setattr(outputs, "read_outputs", watched)
    return seen


def test_outputs_in_passing_are_those_of_a_pass_of_their_own(inputs, passes):
    runs = planned_runs(inputs.config)
    extract_runs(inputs, runs, outputs_too=True)
    passed, notes, own = measured(inputs, passes)
    assert own == 0
    assert passes, "general text has a pass of its own"
    states = base_states_folder(inputs.config)
    assert len(list(states.glob("*/states.json"))) == 2, "of the task and of general text, for the runs to come"
    in_passing = strips_of(inputs)
    forget_outcomes(inputs)
    alone, their_notes, own = measured(inputs, passes)
    assert in_passing == strips_of(inputs), "texts token by token too"
    full, lora = in_passing
    assert {
        len([of for of in strips if of.inputs == kind]) for strips in (full, lora) for kind in ("task", "general_text")
    } == {3}
    kl = passed[0][(passed[0]["outcome"] == "output_kl") & (passed[0]["inputs"] == "task")].set_index("item")["value"]
    assert [of.sample for of in full[:3]] == list(kl.sort_values(ascending=False, kind="stable").index[:3])
    assert [of.mean for of in full[:3]] == pytest.approx(sorted(kl, reverse=True)[:3], rel=1e-5)
    assert own == len(runs)
    assert notes == their_notes
    for one, other in zip(passed, alone, strict=True):
        assert one.equals(other), "bit for bit"
    for folder in ("outcomes", "phase3_representations"):
        shutil.rmtree(inputs.config.results_dir / folder)
    shutil.rmtree(inputs.config.base_dir)
    extract_runs(inputs, runs)
    assert not (inputs.config.results_dir / "outcomes").exists(), "extraction alone reads no outputs"
    for one, other in zip(passed, measured(inputs, passes)[0], strict=True):
        assert one["value"].to_numpy() == pytest.approx(other["value"].to_numpy(), rel=1e-4, abs=1e-7), "other batches"


def strips_of(inputs):
    """The texts token by token that the record of each run keeps."""
    folders = [outcomes_folder(inputs.config, run, 0) for run in planned_runs(inputs.config)]
    return [RunOutcomes.read(record_path(folder, "outputs")).strips for folder in folders]


def forget_outcomes(inputs):
    """Removes what was measured of the runs; the base model's states stay."""
    for folder in (inputs.config.results_dir / "outcomes").glob("cont_*"):
        shutil.rmtree(folder)


def test_the_next_run_needs_no_pass_of_the_base_model(inputs, passes, monkeypatch):
    full, lora = planned_runs(inputs.config)
    extract_runs(inputs, [full], outputs_too=True)
    evaluate_runs(inputs, [full])
    later = StudyInputs(inputs.config)

    def refused(*_):
        raise AssertionError("the base model was run again")

    monkeypatch.setattr("repdrift.outcomes.base_outputs._run", refused)
    extract_runs(later, [lora], outputs_too=True)
    (done,) = evaluate_runs(later, [lora])
    assert later.general_text is not None
    assert done.records["outputs"].n_items == 3 * 12 + 4 * len(later.general_text)
    assert "cont" not in passes


def test_a_base_set_that_was_there_before_is_run_once_for_all_runs(inputs, passes):
    runs = planned_runs(inputs.config)
    extract_runs(inputs, runs)
    shutil.rmtree(inputs.config.results_dir / "phase3_representations")
    extract_runs(StudyInputs(inputs.config), runs, outputs_too=True)
    items, _, own = measured(inputs, passes)
    assert own == 0
    forget_outcomes(inputs)
    again, _, own = measured(inputs, passes)
    assert own == len(runs)
    assert all(one.equals(other) for one, other in zip(items, again, strict=True))


@pytest.mark.parametrize("killed_after", [2, 9])
def test_a_killed_extraction_goes_on_and_ends_with_the_same_outputs(inputs, passes, monkeypatch, killed_after):
    runs = planned_runs(inputs.config)
    real, calls = RepresentationSetWriter.write_batch, []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == killed_after:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RepresentationSetWriter, "write_batch", killed)
        extract_runs(inputs, runs, outputs_too=True)
    extract_runs(StudyInputs(inputs.config), runs, outputs_too=True)
    items, _, own = measured(inputs, passes)
    assert own == 0
    after_a_stop = strips_of(inputs)
    forget_outcomes(inputs)
    again, _, own = measured(inputs, passes)
    assert own == len(runs)
    assert all(one.equals(other) for one, other in zip(items, again, strict=True))
    for found, whole in zip(after_a_stop, strips_of(inputs), strict=True):
        assert found is None or found == whole, "none rather than those of a part of the texts"


def test_damaged_sums_and_states_are_measured_anew(inputs, passes):
    runs = planned_runs(inputs.config)
    extract_runs(inputs, runs, outputs_too=True)
    (first, *_) = sorted(passed_folder(inputs.config, runs[0]).glob("batch_*"))
    first.write_bytes(first.read_bytes()[:-8] + b"\1" * 8)
    for path in base_states_folder(inputs.config).glob("*/batch_000001*"):
        path.unlink()
    items, _, own = measured(inputs, passes)
    assert own == 1, "only the run whose file is damaged"
    shutil.rmtree(inputs.config.results_dir / "outcomes")
    again, _, _ = measured(inputs, passes)
    for one, other in zip(items, again, strict=True):
        assert one["value"].to_numpy() == pytest.approx(other["value"].to_numpy(), rel=1e-4, abs=1e-7)


def test_a_fault_of_outputs_stops_no_extraction(inputs, passes, monkeypatch):
    runs = planned_runs(inputs.config)

    def full(*_):
        raise StorageError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("repdrift.outcomes.batch_files.BatchFiles.put", full)
        extract_runs(inputs, runs, outputs_too=True)
    assert (base_folder(inputs.config, "cont") / "metadata.json").exists()
    _, _, own = measured(inputs, passes)
    assert own == len(runs)


def test_other_options_need_a_pass_of_their_own(inputs, passes, tiny_language_model):
    half = study_in(
        inputs.config.results_dir.parent, tiny_language_model, outcomes={"outputs": {"compute_dtype": "bfloat16"}, "task_scores": False, "flips": False, "probes": False}
    )  # fmt: skip
    extract_runs(half, planned_runs(half.config), outputs_too=True)
    assert not base_states_folder(half.config).exists()
    _, _, own = measured(half, passes)
    assert own == 2
