"""Which runs of a study get a random change of their size, where it lies, and what is said where there is none."""

import pytest
import torch

from repdrift.core.errors import ModelError, NonFiniteError
from repdrift.core.records.representation_set import RandomChange, SetMetadata
from repdrift.extraction import ExtractionOptions
from repdrift.models import resolve_model
from repdrift.study.config import parse_study
from repdrift.study.drift_plan import drift_plan
from repdrift.study.random_changes import extract_random_change, runs_to_match
from repdrift.study.runs import RunId, planned_runs, random_change_folder, set_folder
from repdrift.study.status import study_status
from repdrift.tasks import SampleSet, token_ids
from tests.unit.drift.study_on_disk import write_set

CHANGE = {"layer": 1, "norm": 2.0, "relative_change": None, "stable_rank": None}


def _study(tmp_path, choice="first"):
    content = {
        "name": "x", "model": "tiny", "tasks": ["sst2"], "seeds": [3, 1, 2], "results_dir": str(tmp_path / "results"),
        "base_dir": str(tmp_path / "base"), "extraction": {"random_change": choice},
    }  # fmt: skip
    return parse_study(content, where="x")


def _metadata(method="lora", seed=3, *, size=0.5, changes=True, **fields):
    moved = [{**CHANGE, "module": "output.dense.weight", "change_norm": size}]
    content = {
        "key": "k", "task": "sst2", "method": method, "seed": seed, "step": 0, "model": "tiny", "weights_digest": "w",
        "sample_set_fingerprint": "f", "sample_ids": ["0"], "truncated_samples": 0, "pooling": "mean", "dtype": "float32",
        "compute_dtype": "float32", "layers": [0], "shape": [1, 2], "payload": "pt", "files": {}, "created": "now", "versions": {},
        "weight_changes": moved if changes else None,
    }  # fmt: skip
    return SetMetadata.model_validate({**content, **fields})


def _final(*seeds, without=()):
    return {
        RunId("sst2", method, seed): _metadata(method, seed, changes=seed not in without)
        for method in ("full_finetune", "lora")
        for seed in seeds
    }


def test_the_first_seed_of_the_study_that_is_there_is_matched(tmp_path):
    def seeds(choice, *there, without=()):
        return [(r.method, r.seed) for r in runs_to_match(_study(tmp_path, choice), _final(*there, without=without))]

    assert seeds("first", 1, 2, 3) == [("full_finetune", 3), ("lora", 3)]
    assert seeds("first", 2, 1) == [("full_finetune", 1), ("lora", 1)]
    assert seeds("first", 1, 2, 3, without=(3,)) == [("full_finetune", 1), ("lora", 1)]
    assert seeds("first", 1, 2, 3, without=(1, 2, 3)) == [("full_finetune", 3), ("lora", 3)]
    assert len(seeds("all", 1, 2, 3)) == 6
    assert seeds("none", 1, 2, 3) == seeds("first") == []


def test_an_earlier_seeds_control_on_the_disk_is_enough(tmp_path):
    study = _study(tmp_path)
    folder = random_change_folder(study, RunId("sst2", "lora", 3))
    write_set(folder, "sst2", "random_change", 3, torch.ones(3, 40, 12).numpy())
    assert [(r.method, r.seed) for r in runs_to_match(study, _final(1, 2))] == [("full_finetune", 1)]
    # In a call that has the earlier run itself, that run's control is looked at, and reused if it fits.
    assert [(r.method, r.seed) for r in runs_to_match(study, _final(1, 3))] == [("full_finetune", 3), ("lora", 3)]
    # Nor does it stand for one that can no longer be made.
    assert [(r.method, r.seed) for r in runs_to_match(study, _final(1, 3, without=(3,)))][-1] == ("lora", 1)
    (folder / "metadata.json").unlink()
    assert len(runs_to_match(study, _final(1, 2))) == 2


def test_controls_lie_beside_the_steps_and_are_none_of_them(tmp_path):
    study = _study(tmp_path)
    run = RunId("sst2", "lora", 1)
    assert random_change_folder(study, run) == set_folder(study, run).parent / "random_change"
    for folder in (random_change_folder(study, run), set_folder(study, run), set_folder(study, run, 5)):
        folder.mkdir(parents=True)
    plan = drift_plan(study, "x.yaml")
    assert {s.step for s in plan.sets if (s.method, s.seed) == ("lora", 1)} == {0, 5}
    assert {(s.method, s.seed, s.step) for s in plan.random_changes} == {
        (r.method, r.seed, 0) for r in planned_runs(study)
    }
    planned = next(s for s in plan.random_changes if (s.method, s.seed) == ("lora", 1))
    assert planned.folder == random_change_folder(study, run)
    assert planned.command == "repdrift extract --config x.yaml --task sst2 --method lora --seed 1"


def test_status_tells_what_lies_where_the_control_belongs(tmp_path):
    study = _study(tmp_path)
    write_set(
        random_change_folder(study, RunId("sst2", "lora", 3)), "sst2", "random_change", 3, torch.ones(3, 40, 12).numpy(),
        random_change=RandomChange(
            method="lora", noise_seed=0, changes_digest="", weights_moved=1, change_norm=1.0, largest_norm_error=0.0, not_moved=[]
        ),
    )  # fmt: skip
    write_set(
        random_change_folder(study, RunId("sst2", "full_finetune", 1)), "sst2", "lora", 1, torch.ones(3, 40, 12).numpy()
    )
    random_change_folder(study, RunId("sst2", "lora", 1)).mkdir(parents=True)
    found = {(p.run.method, p.run.seed): p.random_change for p in study_status(study)}
    assert found["lora", 3] == "finished"
    assert found["lora", 1] == "unfinished"
    assert found["lora", 2] == found["full_finetune", 3] == "missing"
    assert found["full_finetune", 1] == "damaged", "it is the set of a run"


@pytest.fixture(scope="module")
def samples():
    g = torch.Generator().manual_seed(0)
    rows = tuple(token_ids(torch.randint(4, 40, (3 + i % 5,), generator=g).tolist()) for i in range(8))
    return SampleSet("sst2", tuple(f"s{i}" for i in range(len(rows))), rows, None, 0, "random")


@pytest.mark.parametrize(
    ("reason", "run", "options"),
    [
        ("weights: false", {"changes": False}, {}),
        ("layer-major schedule never holds", {}, {"schedule": "layer"}),
        ("too coarse", {"size": 1e-6}, {"compute_dtype": "bfloat16"}),
        ("layer 9, output.dense.weight is not in BertModel", {"weight_changes": [{**CHANGE, "layer": 9, "module": "output.dense.weight", "change_norm": 1.0}]}, {}),
        ("NaN or Inf", {"weight_changes": [{**CHANGE, "module": "output.LayerNorm.bias", "change_norm": 3e38}, {**CHANGE, "module": "output.LayerNorm.weight", "change_norm": 3e38}]}, {}),
    ],
)  # fmt: skip
def test_control_that_cannot_be_made_says_why_and_leaves_no_stale_one(
    tiny_bert, samples, tmp_path, reason, run, options
):
    folder = tmp_path / "run" / "random_change"
    write_set(folder, "sst2", "random_change", 3, torch.ones(3, 40, 12).numpy())
    base = resolve_model(str(tiny_bert))
    for _ in range(2):  # with a stale set in the folder, and without one
        with pytest.raises((ModelError, NonFiniteError), match=reason):
            extract_random_change(base, samples, ExtractionOptions(**options), _metadata(**run), folder)
        assert list(folder.parent.iterdir()) == []


def test_control_replaces_a_stale_one_and_is_reused(tiny_bert, samples, tmp_path):
    folder = tmp_path / "random_change"
    write_set(folder, "sst2", "random_change", 3, torch.ones(3, 40, 12).numpy())
    base = resolve_model(str(tiny_bert))
    metadata, new = extract_random_change(base, samples, ExtractionOptions(), _metadata(), folder)
    assert new
    assert metadata.random_change.weights_moved == 1
    assert metadata.random_change.change_norm == pytest.approx(0.5, rel=1e-5)
    # Reused even where it could not be made now.
    layer = ExtractionOptions(schedule="layer")
    assert extract_random_change(base, samples, layer, _metadata(), folder) == (metadata, False)
