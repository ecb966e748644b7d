import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import torch
from safetensors.torch import load_file

from repdrift.core.errors import DataError, ModelError
from repdrift.models import load_backbone, load_tokenizer, resolve_model
from repdrift.tasks import Rows, TaskSpec, load_rows, task
from repdrift.training import (
    Arm,
    FinishedRun,
    TrainingJob,
    TrainingOptions,
    finished_runs,
    require_unchanged,
    train,
    train_unless_claimed,
)
from repdrift.training.run_claim import run_claim
from repdrift.training.training_run import new_run_folder
from tests.tiny_models import sentence


def _job(model, data, name="sst2", method="full_finetune", seed=1, arm_options=None, **options):
    settings = {"epochs": 1, "batch_size": 8, "max_length": 32, "doc_stride": 8, "learning_rate": 0.01, **options}
    spec = task(name)
    return TrainingJob(
        spec, Arm.of_kind(method, **arm_options or {}), seed, resolve_model(str(model)), TrainingOptions(**settings),
        load_rows(spec, "train", data_dir=data), load_rows(spec, "validation", data_dir=data),
    )  # fmt: skip


def _weights(run):
    return load_file(next((run.folder / "final_model").glob("*.safetensors")))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def trained(tiny_bert, tiny_data, results):
    """A full fine-tune of the tiny BERT on SST-2 with seed 1, with a checkpoint of every step."""
    return train(_job(tiny_bert, tiny_data, checkpoint_every=1), results)


@pytest.fixture
def no_training(monkeypatch):
    """Training that only says that it was about to start."""

    def started(*_):
        raise InterruptedError("training starts")

    monkeypatch.setattr("repdrift.training.training_run._train_into", started)


def _require_recorded(run, name, method):
    assert run.trained_now
    assert run.folder.name.startswith(f"{method}_")
    stored = json.loads((run.folder / "run.json").read_text())
    assert (stored["task"], stored["method"], stored["seed"], stored["status"]) == (name, method, 1, "finished")
    assert {"accuracy", "f1"} <= stored["metrics"].keys() or {"exact_match", "f1"} <= stored["metrics"].keys()
    learnt = run.record.learnt
    assert learnt is not None
    assert learnt.score == pytest.approx(run.record.metrics[learnt.metric])
    assert learnt.metric == ("f1" if name == "squad_v2" else "accuracy")
    assert run.record.weights_digest == resolve_model(str(run.folder / "final_model")).weights_digest()
    files = {path.name for path in (run.folder / "final_model").iterdir()}
    assert ("adapter_model.safetensors" if method == "lora" else "model.safetensors") in files
    assert "tokenizer.json" in files


@pytest.mark.parametrize(
    ("model", "name", "method"),
    # With the run of `trained`, every pair of model, task and method is there.
    [("tiny_bert", "squad_v2", "lora"), ("tiny_llama", "sst2", "lora"), ("tiny_llama", "squad_v2", "full_finetune")],
)
def test_run_is_recorded(model, name, method, request, tiny_data, tmp_path):
    run = train(_job(request.getfixturevalue(model), tiny_data, name, method), tmp_path)
    _require_recorded(run, name, method)


def test_checkpoints_are_saved_and_load(trained):
    _require_recorded(trained, "sst2", "full_finetune")
    assert trained.record.checkpoints == [1, 2, 3]
    first, last = (load_backbone(resolve_model(str(trained.folder / f"checkpoints/step_{n:06d}"))) for n in (1, 3))
    final = load_backbone(resolve_model(str(trained.folder / "final_model")))
    key = "encoder.layer.0.output.dense.weight"
    assert torch.equal(last.state_dict()[key], final.state_dict()[key])
    assert not torch.equal(first.state_dict()[key], final.state_dict()[key])


def test_same_seed_gives_the_same_weights_and_another_seed_others(trained, tiny_bert, tiny_data, tmp_path):
    again = train(_job(tiny_bert, tiny_data), tmp_path)
    other = train(_job(tiny_bert, tiny_data, seed=2), tmp_path)
    a, b, c = map(_weights, (trained, again, other))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


@pytest.mark.usefixtures("no_training")
def test_finished_run_is_reused_and_another_setting_is_not(trained, results, tiny_bert, tiny_data):
    found = train(_job(tiny_bert, tiny_data, checkpoint_every=1), results)
    assert (found.folder, found.record, found.trained_now) == (trained.folder, trained.record, False)
    for changed in (
        {"learning_rate": 0.02}, {"max_train_samples": 10}, {"max_validation_samples": 10}, {"seed": 2}, {"method": "lora"},
    ):  # fmt: skip
        with pytest.raises(InterruptedError):
            train(_job(tiny_bert, tiny_data, checkpoint_every=1, **changed), results)


@pytest.mark.usefixtures("no_training")
def test_unfinished_run_is_never_picked_up(trained, tiny_bert, tiny_data, tmp_path):
    shutil.copytree(trained.folder, tmp_path / trained.folder.name)
    assert [run.record for run in finished_runs(tmp_path)] == [trained.record]
    (tmp_path / trained.folder.name / "run.json").unlink()
    assert list(finished_runs(tmp_path)) == []
    with pytest.raises(InterruptedError):
        train(_job(tiny_bert, tiny_data, checkpoint_every=1), tmp_path)
    assert list(finished_runs(tmp_path)) == [], "nor is the run that stopped when it began"


@pytest.mark.usefixtures("no_training")
def test_run_that_another_process_trains_is_left_to_it_and_then_found(trained, tiny_bert, tiny_data, tmp_path):
    job = _job(tiny_bert, tiny_data, checkpoint_every=1)
    with run_claim(tmp_path, job.key(), "the run", wait=False):
        assert train_unless_claimed(job, tmp_path) is None
        shutil.copytree(trained.folder, tmp_path / trained.folder.name)  # the other process has finished it
    assert train_unless_claimed(job, tmp_path, wait=True).record == trained.record


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        (
            "final_model/config.json",
            lambda p: p.write_text(p.read_text().replace("gelu", "relu")),
            "was changed or damaged",
        ),
        ("final_model/tokenizer.json", lambda p: p.unlink(), "is missing"),
        (
            "checkpoints/step_000002/model.safetensors",
            lambda p: p.write_bytes(p.read_bytes()[:-4]),
            "was changed or damaged",
        ),
        ("final_model/adapter_config.json", lambda p: p.write_text("{}"), "was put there after training"),
    ],
)
def test_a_saved_model_that_was_changed_is_named(trained, tmp_path, name, change, fault):
    shutil.copytree(trained.folder, tmp_path / "run")
    run = FinishedRun(tmp_path / "run", trained.record)
    for folder in ("final_model", "checkpoints/step_000002"):
        (run.folder / folder / ".DS_Store").write_text("")  # a file manager leaves it; nothing reads it
        require_unchanged(run, run.folder / folder)
    change(run.folder / name)
    with pytest.raises(ModelError, match=f"{name} {fault}"):
        require_unchanged(run, (run.folder / name).parent)


@pytest.mark.usefixtures("no_training")
def test_latest_of_several_finished_runs_is_reused(trained, tiny_bert, tiny_data, tmp_path):
    for number, started in enumerate(
        ("2026-01-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00")
    ):
        shutil.copytree(trained.folder, tmp_path / f"run{number}")
        trained.record.model_copy(update={"started": started}).write(tmp_path / f"run{number}" / "run.json")
    assert train(_job(tiny_bert, tiny_data, checkpoint_every=1), tmp_path).folder.name == "run1"


def test_run_that_cannot_be_read_is_named_and_left_out(trained, tmp_path, capsys):
    for name in ("good", "torn"):
        (tmp_path / name).mkdir()
        trained.record.write(tmp_path / name / "run.json")
    (tmp_path / "torn/run.json").write_text('{"task": ')
    assert [run.folder.name for run in finished_runs(tmp_path)] == ["good"]
    assert "left out, cannot be read: " in capsys.readouterr().err


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    names = [new_run_folder(tmp_path, "lora", now).name for _ in range(3)]
    assert names == ["lora_20260102_030405", "lora_20260102_030405_2", "lora_20260102_030405_3"]


def test_lora_target_that_is_not_there_names_what_is(tiny_bert, tiny_data, tmp_path):
    job = _job(tiny_bert, tiny_data, method="lora", arm_options={"target_modules": ("q_proj",)})
    with pytest.raises(ModelError, match=r"(?s)arm 'lora': LoRA does not fit BertForSequenceClassification.*query"):
        train(job, tmp_path)


@pytest.mark.parametrize("labels", [("60001", "60000"), ("pos", "neg")])
def test_head_has_one_output_for_each_class(labels, tiny_bert, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("body,y\n" + "".join(f"{sentence(i, 5)},{labels[i % 2]}\n" for i in range(8)))
    spec = TaskSpec("own", "classification", ("body",), "y", "own", files={"train": path, "validation": path})
    rows = load_rows(spec, "train"), load_rows(spec, "validation")
    options = TrainingOptions(epochs=1, batch_size=8, max_length=32)
    run = train(
        TrainingJob(spec, Arm.of_kind("full_finetune"), 1, resolve_model(str(tiny_bert)), options, *rows),
        tmp_path / "runs",
    )
    assert _weights(run)["classifier.weight"].shape[0] == run.record.num_labels == 2
    assert json.loads((run.folder / "run.json").read_text())["class_labels"] == sorted(
        int(label) if label.isdigit() else label for label in labels
    )
    assert any("The classes are the 2 values of column 'y'" in note for note in run.record.data_notes)


def test_questions_that_fill_the_input_are_left_out_and_counted(tiny_bert, tiny_data, tmp_path):
    job = _job(tiny_bert, tiny_data, "squad_v2")
    long = {**job.train.rows[0], "id": "too long", "question": "what " * 40}
    train_rows, validation = Rows([*job.train.rows[:8], long], "made"), Rows([long, *job.validation.rows[:5]], "made")
    run = train(replace(job, train=train_rows, validation=validation), tmp_path)
    assert (run.record.n_train, run.record.n_validation) == (8, 5)
    left_out = [note for note in run.record.data_notes if "alone fills the input" in note]
    assert [note.split(":")[0] for note in left_out] == ["Training rows", "Evaluation rows"]
    assert "1 of 9 rows" in left_out[0]
    assert "'too long'" in left_out[0]
    assert len(list(tmp_path.glob("full_finetune_*"))) == 1
    with pytest.raises(DataError, match="2 of 2 rows have a question that alone fills the input"):
        train(replace(job, train=Rows([long, {**long, "id": "too"}], "made"), validation=validation), tmp_path)


def test_token_without_a_row_in_the_embedding_is_named_before_training(tiny_bert, tiny_data, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(tiny_bert, base)
    tokenizer = load_tokenizer(resolve_model(str(base)))
    tokenizer.add_tokens(["<x>"])
    tokenizer.save_pretrained(base)
    job = _job(base, tiny_data)
    rows = [{**row, "sentence": row["sentence"] + " <x>"} for row in job.train.rows]
    with pytest.raises(DataError, match=r"'<x>' \(id 60\) of the texts, and the embedding of BertForSeq.* has 60 rows"):
        train(replace(job, train=Rows(rows, "made")), tmp_path / "results")


def test_labels_are_checked_before_a_folder_is_made(tiny_bert, tiny_data, tmp_path):
    job = _job(tiny_bert, tiny_data)
    same = [{**row, "label": 1} for row in job.train.rows]
    spec = replace(job.spec, label_names=None)
    with pytest.raises(DataError, match="at least two classes"):
        train(
            replace(job, spec=spec, train=Rows(same, "one class"), validation=Rows(same, "one class")),
            tmp_path / "runs",
        )
    assert not (tmp_path / "runs").exists()


def test_a_run_that_cannot_begin_leaves_no_folder(tiny_bert, tiny_data, tmp_path):
    with pytest.raises(DataError, match="max_length 500 is more than the model's maximum"):
        train_unless_claimed(_job(tiny_bert, tiny_data, max_length=500), tmp_path)
    assert not list(tmp_path.glob("full_finetune_*"))
