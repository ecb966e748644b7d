"""Which finished run a study takes for one of its runs."""

import shutil
import time

import pytest

from repdrift.core.errors import MissingRunError, ModelError, NonFiniteError
from repdrift.study.config import parse_study
from repdrift.study.extraction_stage import extract_runs
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import RunId
from repdrift.study.status import study_status
from repdrift.study.training_stage import find_run, train_runs
from repdrift.training import training_run
from tests.resealed import edit_record
from tests.tiny_models import sentence
from tests.unit.models.test_model_settings import edit

RUN = RunId("mine", "lora", 1)


def write_rows(path, start, count):
    path.write_text("body,label\n" + "".join(f"{sentence(start + i, 5)},{i % 2}\n" for i in range(count)))
    return path


def inputs_of(tmp_path, model, method="lora", **entry):
    files = {"train": str(tmp_path / "train.csv"), "validation": str(tmp_path / "validation.csv"), **entry}
    task = {"name": "mine", "text_columns": ["body"], "label_column": "label", **files}
    content = {
        "name": "s", "model": str(model), "tasks": [task], "methods": [method], "seeds": [1], "results_dir": str(tmp_path / "results"),
        "training": {"all": {"epochs": 1, "batch_size": 8, "max_length": 16}},
    }  # fmt: skip
    return StudyInputs(parse_study(content, where="s"))


def test_a_run_on_rows_that_were_changed_since_is_not_taken(tmp_path, tiny_bert):
    train, _ = write_rows(tmp_path / "train.csv", 0, 12), write_rows(tmp_path / "validation.csv", 50, 8)
    (trained,) = train_runs(inputs_of(tmp_path, tiny_bert), [RUN])
    assert find_run(inputs_of(tmp_path, tiny_bert), RUN).folder == trained.folder
    kept = train.read_text()
    write_rows(train, 1, 12)
    with pytest.raises(
        MissingRunError, match=r"was trained on other rows: the training data was changed since\. Train it with"
    ):
        find_run(inputs_of(tmp_path, tiny_bert), RUN)
    train.unlink()  # a machine that extracts only may not have it
    assert find_run(inputs_of(tmp_path, tiny_bert), RUN).folder == trained.folder
    assert find_run(inputs_of(tmp_path, tiny_bert, train=None), RUN).folder == trained.folder
    train.write_text(kept)
    assert find_run(inputs_of(tmp_path, tiny_bert), RUN).folder == trained.folder


def test_a_run_from_a_base_model_whose_settings_were_changed_is_not_taken_and_trained_anew(tmp_path, tiny_bert):
    base = shutil.copytree(tiny_bert, tmp_path / "bert")
    write_rows(tmp_path / "train.csv", 0, 12)
    write_rows(tmp_path / "validation.csv", 50, 8)
    (trained,) = train_runs(inputs_of(tmp_path, base), [RUN])
    assert study_status(inputs_of(tmp_path, base).config)[0].trained
    for name, change in (
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"layer_norm_eps": 1e-5}),
        ("tokenizer_config.json", {"do_lower_case": True}),
    ):
        text = (base / name).read_text()
        edit(base / name, **change)
        with pytest.raises(
            MissingRunError, match=rf"same weights, but {name} of the base model in .* Restore the base model"
        ):
            find_run(inputs_of(tmp_path, base), RUN)
        assert not study_status(inputs_of(tmp_path, base).config)[0].trained
        (base / name).write_text(text)
        assert find_run(inputs_of(tmp_path, base), RUN).folder == trained.folder
    weights = base / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + b"\0\0\0\0")
    with pytest.raises(
        MissingRunError, match=r"was trained from other weights of .* Restore the base model from a copy"
    ):
        find_run(inputs_of(tmp_path, base), RUN)
    weights.write_bytes(content)
    edit(base / "config.json", hidden_act="relu")
    (anew,) = train_runs(inputs_of(tmp_path, base), [RUN])
    assert anew.trained_now
    assert anew.record.key == trained.record.key
    assert find_run(inputs_of(tmp_path, base), RUN).folder == anew.folder
    edit_record(
        trained.folder / "run.json", lambda content: content.pop("base_settings")
    )  # as an older version wrote it
    shutil.rmtree(anew.folder)
    assert find_run(inputs_of(tmp_path, base), RUN).folder == trained.folder


def test_a_run_that_diverges_is_named_at_the_end_and_the_others_are_trained(tmp_path, tiny_bert, monkeypatch):
    write_rows(tmp_path / "train.csv", 0, 12)
    write_rows(tmp_path / "validation.csv", 50, 8)
    inputs = inputs_of(tmp_path, tiny_bert)
    inputs.config = inputs.config.model_copy(update={"seeds": (1, 2)})
    real = training_run._train_into

    def diverging(folder, job, *rest):
        if job.seed == 1:
            raise NonFiniteError("mine, lora, seed 1: the loss is nan in step 2 of 2")
        return real(folder, job, *rest)

    monkeypatch.setattr(training_run, "_train_into", diverging)
    both = [RUN, RunId("mine", "lora", 2)]
    with pytest.raises(NonFiniteError) as caught:
        train_runs(inputs, both)
    assert str(caught.value) == (
        "1 run diverged, and nothing of it is kept. The other 1 of 2 are trained.\n"
        "mine, lora, seed 1: the loss is nan in step 2 of 2"
    )
    assert find_run(inputs, both[1]).record.seed == 2
    with pytest.raises(MissingRunError):
        find_run(inputs, RUN)


def test_a_full_model_of_an_older_version_is_held_to_the_settings_of_its_base(tmp_path, tiny_bert):
    base, run = shutil.copytree(tiny_bert, tmp_path / "bert"), RunId("mine", "full_finetune", 1)
    write_rows(tmp_path / "train.csv", 0, 12)
    write_rows(tmp_path / "validation.csv", 50, 8)
    (trained,) = train_runs(inputs_of(tmp_path, base, run.method), [run])
    edit_record(trained.folder / "run.json", lambda content: content.pop("base_settings"))
    edit(base / "config.json", hidden_act="relu")
    with pytest.raises(ModelError, match=r"hidden_act \(gelu; base: relu\)\. One of the two was changed since"):
        extract_runs(inputs_of(tmp_path, base, run.method), [run])


def test_a_run_that_another_process_finishes_or_replaces_is_found_by_the_next_question(tmp_path, tiny_bert):
    for split, start in (("train", 0), ("validation", 100)):
        write_rows(tmp_path / f"{split}.csv", start, 16)
    inputs = inputs_of(tmp_path, tiny_bert)
    (trained,) = train_runs(inputs, [RUN])
    elsewhere = tmp_path / "elsewhere.json"
    time.sleep(0.12)
    assert find_run(inputs, RUN).record == trained.record
    with inputs.one_look():
        trained.record.model_copy(update={"started": "2999-01-01T00:00:00+00:00"}).write(elsewhere)
        newer = trained.folder.with_name("newer")
        newer.mkdir()
        elsewhere.replace(newer / "run.json")
        assert find_run(inputs, RUN).folder == trained.folder, "one look is of one moment"
    assert find_run(inputs, RUN).folder == newer
    trained.record.model_copy(update={"seed": 9}).write(newer / "run.json")
    assert find_run(inputs, RUN).folder == trained.folder
    shutil.rmtree(trained.folder)
    with pytest.raises(MissingRunError):
        find_run(inputs, RUN)
