"""A study that reads base sets from a store and sends what is finished."""

import json
import shutil
from pathlib import Path

import pytest

from repdrift.core.errors import ConfigError, CorruptSetError, MissingRunError, StorageError
from repdrift.core.records.representation_set import SetMetadata
from repdrift.stores import open_set
from repdrift.stores.remote import listed_folders, open_remote, pull, push
from repdrift.stores.remote.shared_folders import SPLIT_FOLDERS
from repdrift.study.config import parse_study
from repdrift.study.extraction_stage import extract_base, extract_run
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import OUTCOMES_FOLDER, WEIGHTS_FOLDER, base_folder, identity_folder, planned_runs
from repdrift.study.shared_passes import SharedPasses
from repdrift.study.training_stage import train_runs
from tests.tiny_models import sentence
from tests.unit.stores.remote.conftest import write_small_set
from tests.unit.stores.small_sets import contents, require_equal
from tests.unit.study.test_config import MINIMAL


def study_in(root, data, model, stores, **changes):
    task = {
        "name": "own",
        "train": str(data / "train.jsonl"),
        "validation": str(data / "validation.jsonl"),
        "text_columns": ["t"],
        "label_column": "l",
    }
    content = {
        "name": "tiny", "model": str(model), "tasks": [task], "methods": ["lora"], "seeds": [1], "stores": stores, "outcomes": [],
        "results_dir": str(root / "results"), "base_dir": str(root / "base"), "extraction": {"random_change": "none"},
        "training": {"all": {"epochs": 1, "batch_size": 8, "max_length": 16, "learning_rate": 0.02}},
    } | changes  # fmt: skip
    return StudyInputs(parse_study(content, where="tiny"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 16), ("validation", 12)):
        rows = [{"t": sentence(i, 3 + i % 6), "l": i % 2} for i in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory, data, tiny_bert):
    """A folder with a study's base sets, and the store that it has filled; nobody may write to it."""
    root = tmp_path_factory.mktemp("filled")
    inputs = study_in(root, data, tiny_bert, {"base": str(root / "store"), "push_base": True})
    made = extract_base(inputs, "own", SharedPasses(inputs))
    assert [each.extracted_now for each in made] == [True, True]
    return root


def test_base_sets_are_made_once_and_then_fetched(filled, data, tiny_bert, tmp_path):
    rows = listed_folders(open_remote(str(filled / "store")))
    assert [row.name.rpartition("-")[0] for row in rows] == ["own/identity", "own/step_000000"]
    inputs = study_in(tmp_path, data, tiny_bert, {"base": str(filled / "store")})
    made = extract_base(inputs, "own", SharedPasses(inputs))
    assert [each.extracted_now for each in made] == [False, False]
    require_equal(filled / "base", tmp_path / "base")


def test_sets_that_push_sent_by_hand_are_found_too(filled, data, tiny_bert, tmp_path):
    push(filled / "base", open_remote(str(tmp_path / "store")))
    inputs = study_in(tmp_path, data, tiny_bert, {"base": str(tmp_path / "store")})
    assert [each.extracted_now for each in extract_base(inputs, "own", SharedPasses(inputs))] == [False, False]


def test_a_set_of_other_settings_is_not_taken_and_not_replaced(filled, data, tiny_bert, tmp_path):
    store = Path(shutil.copytree(filled / "store", tmp_path / "store"))
    before = contents(store)
    inputs = study_in(
        tmp_path,
        data,
        tiny_bert,
        {"base": str(store), "push_base": True},
        extraction={"random_change": "none", "pooling": "cls"},
    )
    made = extract_base(inputs, "own", SharedPasses(inputs))
    assert [each.extracted_now for each in made] == [True, True]
    assert len(listed_folders(open_remote(str(store)))) == 4
    assert {name: content for name, content in contents(store).items() if name in before} == before


def test_a_second_extraction_goes_only_with_the_base_set_beside_which_it_was_made(filled, data, tiny_bert, tmp_path):
    """The store's two sets are of another machine: here the base set is there, with other last bits."""
    store = Path(shutil.copytree(filled / "store", tmp_path / "store"))
    inputs = study_in(tmp_path, data, tiny_bert, {"base": str(store), "push_base": True})
    extract_base(study_in(tmp_path, data, tiny_bert, None), "own", SharedPasses(inputs))
    shutil.rmtree(identity_folder(inputs.config, "own"))
    (of_store,) = store.glob("own/step_000000-*")
    shutil.rmtree(of_store)
    write_small_set(of_store, key=open_set(base_folder(inputs.config, "own")).metadata.key)
    made = extract_base(inputs, "own", SharedPasses(inputs))
    assert [each.extracted_now for each in made] == [False, True]


def test_a_manifest_that_lies_is_refused(filled, data, tiny_bert, tmp_path):
    store = Path(shutil.copytree(filled / "store", tmp_path / "store"))
    (folder,) = store.glob("own/step_000000-*")
    metadata = SetMetadata.read(folder / "metadata.json")
    metadata.model_copy(update={"weights_digest": "0" * 64}).write(folder / "metadata.json")
    inputs = study_in(tmp_path, data, tiny_bert, {"base": str(store)})
    with pytest.raises(CorruptSetError, match="bears the key of the wanted set, and its weights_digest is another"):
        extract_base(inputs, "own", SharedPasses(inputs))
    metadata.write(folder / "metadata.json")
    layer = folder / "layer_0.pt"
    layer.write_bytes(layer.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(CorruptSetError, match=r"layer_0\.pt from .* is not what its metadata says"):
        extract_base(inputs, "own", SharedPasses(inputs))
    assert not (base_folder(inputs.config, "own") / "metadata.json").exists()


def test_what_is_finished_is_sent_and_what_was_not_is_said_at_the_end(
    filled, data, tiny_bert, tmp_path, monkeypatch, capsys
):
    stores = {"base": str(filled / "store"), "results": str(tmp_path / "sent")}
    inputs = study_in(tmp_path, data, tiny_bert, stores)
    runs = planned_runs(inputs.config)
    inputs.stores.require_reachable(["own"])
    with monkeypatch.context() as patch:
        patch.setattr(
            "repdrift.study.study_stores.push_folders",
            lambda *_, **__: (_ for _ in ()).throw(StorageError("connection lost")),
        )
        with pytest.raises(
            StorageError, match=r"all that was asked for is finished here, but 1 folder.* connection lost"
        ):
            train_runs(inputs, runs)
    assert "is finished, and was not sent: connection lost" in capsys.readouterr().err
    (trained,) = train_runs(inputs, runs)
    assert not trained.trained_now
    extract_base(inputs, "own", SharedPasses(inputs))
    extract_run(inputs, runs[0], SharedPasses(inputs))
    inputs.stores.send_all()
    kinds = {row.name: row.kind for row in listed_folders(open_remote(str(tmp_path / "sent")))}
    assert kinds == {trained.folder.name: "run", "phase3_representations/own_lora_seed1/step_000000": "set"}
    pull(open_remote(str(tmp_path / "sent")), tmp_path / "back")
    require_equal(trained.folder, tmp_path / "back" / trained.folder.name)


def test_an_empty_store_without_push_base_stops_before_anything_is_trained(data, tiny_bert, tmp_path):
    inputs = study_in(tmp_path, data, tiny_bert, {"base": str(tmp_path / "typo")})
    with pytest.raises(
        MissingRunError,
        match=r"stores\.base: .*typo holds nothing for own\. Check the address, or fill it: push_base: true",
    ):
        train_runs(inputs, planned_runs(inputs.config))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("stores", "message"),
    [
        ({}, "names no store"),
        ({"push_base": True}, "push_base: true needs base"),
        ({"bsae": "x"}, "stores.bsae: unknown key; did you mean 'base'"),
        ({"base": " "}, "it is empty"),
        ({"base": "wandb://only/two"}, "should be wandb://entity/project/artifact"),
        ({"results": "s3:///x"}, "names no bucket"),
        ({"results": "s3://KEY:SECRET@bucket/x"}, "holds keys in front of the bucket"),
        ({"results": "s3://b/x?sig=SECRET0123"}, "has a query"),
        ({"base": "store", "jobs": 0}, "greater than or equal to 1"),
        ({"base": "base_representations"}, "are one folder, or one lies in the other"),
        ({"results": "results/store"}, "are one folder, or one lies in the other"),
        ({"results": "$HOME/store"}, "variables are not filled in"),
    ],
)
def test_faults_of_the_section_are_said_without_a_secret(stores, message):
    with pytest.raises(ConfigError, match=message) as refused:
        parse_study({**MINIMAL, "stores": stores}, where="x")
    assert "SECRET" not in str(refused.value)


def test_stores_change_no_key(data, tiny_bert, tmp_path):
    plain, with_store = (
        study_in(tmp_path, data, tiny_bert, stores) for stores in (None, {"results": str(tmp_path / "sent")})
    )
    (run,) = planned_runs(plain.config)
    assert plain.training_job(run).key() == with_store.training_job(run).key()


def test_folders_of_results_are_called_in_stores_as_in_studies():
    assert set(SPLIT_FOLDERS) >= {OUTCOMES_FOLDER, WEIGHTS_FOLDER}
