"""The random changes of a plan, opened beside the runs that they match, or refused."""

import numpy as np
import pytest

from repdrift.core.errors import ConfigError, CorruptSetError, SampleSetMismatchError
from repdrift.core.records.representation_set import ModuleChange, RandomChange, changes_digest
from repdrift.drift import PlannedSet
from repdrift.drift.task_sets import find_runs, open_task
from tests.unit.drift.study_on_disk import LAYERS, N, P, Study, write_set

RUN = ("mrpc", "lora", 1)


def _changes(size=1.0):
    return [
        ModuleChange(layer=0, module="w", norm=2.0, change_norm=size, relative_change=None, stable_rank=None),
        ModuleChange(layer=None, module="e", norm=2.0, change_norm=0.0, relative_change=None, stable_rank=None),
    ]


def _random_change(method="lora", size=1.0):
    return RandomChange(
        method=method, noise_seed=1, changes_digest=changes_digest(_changes(size)), weights_moved=1, change_norm=size,
        largest_norm_error=0.0, not_moved=[],
    )  # fmt: skip


@pytest.fixture
def study(tmp_path):
    study = Study(tmp_path, tasks=("mrpc",), seeds=(1, 2))
    _write(study.folder(*RUN), *RUN, weight_changes=_changes())
    return study


def _write(folder, task, method, seed, **fields):
    tensors = [np.random.default_rng(layer).normal(size=(N, P)) for layer in range(LAYERS)]
    write_set(folder, task, method, seed, tensors, **{"key": "new", "base_weights_digest": "base0", **fields})


def _folder(study, method="lora", seed=1):
    return study.folder("mrpc", method, seed).parent / "random_change"


def _open(study, **changes):
    plan = study.plan(
        random_changes=[
            PlannedSet("mrpc", m, s, 0, _folder(study, m, s), f"make {m} {s}") for m in study.methods for s in study.seeds
        ],
        **changes,
    )  # fmt: skip
    return open_task("mrpc", plan.bases["mrpc"], find_runs(plan.sets).runs, plan.random_changes)


def test_what_is_there_is_opened_and_what_is_missing_or_unfinished_is_absent(study):
    assert _open(study).random_changes == []
    _write(_folder(study), "mrpc", "random_change", 1, random_change=_random_change())
    _folder(study, seed=2).mkdir()
    (opened,) = _open(study).random_changes
    assert (opened.plan.method, opened.plan.seed, opened.plan.command) == ("lora", 1, "make lora 1")
    assert opened.stored.folder == _folder(study)
    assert len(_open(study).runs) == 4


def test_those_of_other_tasks_are_passed_over_and_none_need_be_named(study):
    _write(_folder(study), "mrpc", "random_change", 1, random_change=_random_change())
    plan = study.plan()
    other = PlannedSet("sst2", "lora", 1, 0, _folder(study), "make")
    assert open_task("mrpc", plan.bases["mrpc"], [], [other]).random_changes == []
    assert open_task("mrpc", plan.bases["mrpc"], []).random_changes == []


@pytest.mark.parametrize(
    ("method", "seed", "said"),
    [
        ("lora", 1, None),  # the run's own set
        ("random_change", 1, None),
        ("random_change", 2, _random_change()),
        ("random_change", 1, _random_change("full_finetune")),
        ("base", None, None),
    ],
)
def test_set_in_the_wrong_folder_is_refused(study, method, seed, said):
    _write(_folder(study), "mrpc", method, seed, random_change=said)
    with pytest.raises(
        CorruptSetError, match=r"random change as large as that of lora, seed 1, was expected.*make lora 1"
    ):
        _open(study)


def test_control_in_the_folder_of_a_run_is_refused(study):
    _write(study.folder(*RUN), "mrpc", "random_change", 1, random_change=_random_change())
    with pytest.raises(CorruptSetError, match="method random_change, seed 1, step 0: it stands in the wrong"):
        _open(study)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sample_set_fingerprint": "other"}, "different sample sets"),
        ({"base_weights_digest": "other"}, "another base model"),
        ({"pooling": "last"}, "differ in pooling"),
        ({"random_change": _random_change(size=2.0)}, "not of the size"),
    ],
)
def test_control_of_other_samples_base_model_or_size_is_refused_with_the_way_out(study, fields, message):
    _write(_folder(study), "mrpc", "random_change", 1, **{"random_change": _random_change(), **fields})
    with pytest.raises(SampleSetMismatchError, match=rf"(?s){message}.*make lora 1, or delete it"):
        _open(study)


def test_damaged_control_is_an_error(study):
    _write(_folder(study), "mrpc", "random_change", 1, random_change=_random_change())
    (_folder(study) / "layer_1.pt").unlink()
    with pytest.raises(CorruptSetError, match=r"layer_1\.pt is missing"):
        _open(study)


def test_control_planned_twice_or_in_the_folder_of_a_run_is_refused(study):
    with pytest.raises(ConfigError, match="random change of mrpc, lora, seed 1, step 0 is planned 2 times") as caught:
        study.plan(random_changes=[PlannedSet(*RUN, 0, study.folder(*RUN), "make")] * 2)
    assert "3 runs share the folder" in str(caught.value)


def test_digest_of_changes_is_of_sizes_and_places_in_any_order():
    changes = [*_changes(), *[c.model_copy(update={"layer": 3, "change_norm": 0.1}) for c in _changes()]]
    assert changes_digest(changes) == changes_digest(reversed(changes))
    assert changes_digest(_changes()) == changes_digest(_changes()[:1])  # what did not move does not count
    assert len({changes_digest(c) for c in (changes, _changes(), _changes(1.0 + 1e-15), [])}) == 4


def test_sets_of_the_same_weights_under_another_configuration_are_not_compared(study):
    settings = {"base/config.json": "a" * 64}
    base = study.plan().bases["mrpc"].folder
    _write(base, "mrpc", "base", None, weights_digest="base0", settings=settings)
    _write(study.folder(*RUN), *RUN, settings={**settings, "tuned/config.json": "c" * 64})
    assert len(_open(study).runs) == 4  # three of them are of an older version, and say nothing of it
    _write(study.folder(*RUN), *RUN, key="newer", settings={"base/config.json": "b" * 64})
    with pytest.raises(
        SampleSetMismatchError,
        match=r"same weights, but of another config\.json: .* train again, and then extract both again",
    ):
        _open(study)
