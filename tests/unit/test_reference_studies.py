"""The parts of the reference study say what the whole says, so that they can be put together."""

from pathlib import Path

import pytest
import yaml

STUDIES = Path(__file__).parents[2] / "studies"
MAY_DIFFER = {"mrpc": {"checkpoint_every"}}
"""Settings of a task's training that a part has of its own: its file says why."""


def read(name):
    return yaml.safe_load((STUDIES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("task", ["sst2", "mrpc"])
def test_a_part_has_the_settings_of_the_whole(task):
    whole, part = read("reference.yaml"), read(f"reference_{task}.yaml")
    assert part["tasks"] == [task]
    for key in ("name", "model", "reference", "seeds", "outcomes"):
        assert part[key] == whole[key], key
    for key in ("methods", "tune"):
        assert part[key] == whole[key], key
    assert part["training"]["all"] == whole["training"]["all"]
    ours, theirs = part["training"]["tasks"][task], whole["training"]["tasks"][task]
    assert {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)} <= MAY_DIFFER.get(
        task, set()
    )


def test_the_task_of_its_own_has_the_arms_rates_and_rows_of_sst2():
    whole, own = read("reference.yaml"), read("reference_answer_sentences.yaml")
    for key in ("name", "model", "methods", "reference", "seeds", "tune", "outcomes"):
        assert own[key] == whole[key], key
    theirs, ours = (of["training"] for of in (whole, own))
    assert theirs["all"] | {"precision": "float32"} == ours["all"]  # its file says why
    theirs, ours = theirs["tasks"]["sst2"], ours["tasks"]["answer_sentences"]
    assert (ours["max_train_samples"], ours["epochs"]) == (theirs["max_train_samples"], theirs["epochs"])
