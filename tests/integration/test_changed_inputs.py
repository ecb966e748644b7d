"""Base model files and data files of a finished study are changed: its numbers stay, it refuses, or it makes all anew."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from tests.integration.damaged_study import RUNS, TABLE, repdrift

CONFIG = "--config study.yaml"


def in_json(change):
    def changed(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return changed


def in_rows(change):
    def changed(path):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        change(rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    return changed


def other_weights(path):
    tensors = load_file(path)
    name = next(name for name in sorted(tensors) if name.endswith("layer.0.attention.self.query.weight"))
    tensors[name] = tensors[name] + 0.5
    save_file(tensors, path, metadata={"format": "pt"})


def exchange_words(content):
    vocabulary = content["model"]["vocab"]
    vocabulary["cat"], vocabulary["dog"] = vocabulary["dog"], vocabulary["cat"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


CHANGES = {
    "weights": ("model/model.safetensors", other_weights, True),
    "activation": ("model/config.json", in_json(lambda c: c.update(hidden_act="relu")), True),
    "words of the tokenizer": ("model/tokenizer.json", in_json(exchange_words), True),
    "a training text": ("data/sst2/train.jsonl", in_rows(lambda rows: rows[3].update(sentence="the bad cat")), True),
    "a training label": ("data/sst2/train.jsonl", in_rows(lambda rows: rows[3].update(label=0)), True),
    "a sample's text": ("data/sst2/validation.jsonl", in_rows(lambda rows: rows[3].update(sentence="a cat")), True),
    "a sample less": ("data/sst2/validation.jsonl", in_rows(lambda rows: rows.pop()), True),
    "layout of the data": ("data/sst2/train.jsonl", lambda path: path.write_bytes(path.read_bytes() + b"\n"), False),
    "half a model": ("model/model.safetensors", cut, None),
    "half a row": ("data/sst2/train.jsonl", cut, None),
    "no model": ("model/model.safetensors", lambda path: path.unlink(), None),
    "no configuration": ("model/config.json", lambda path: path.unlink(), None),
}
"""The file, what is done to it, and whether another study follows from it: None if it cannot be read any more."""


def changed_copy(finished, folder, what):
    shutil.copytree(finished.root, folder)
    name, change, makes_another = CHANGES[what]
    change(folder / name)
    return folder / name, makes_another


@pytest.mark.parametrize("what", CHANGES)
def test_no_command_gives_other_numbers_without_a_word(finished, tmp_path, what):
    folder = tmp_path / "study"
    path, makes_another = changed_copy(finished, folder, what)
    for command in (f"status {CONFIG}", f"extract {CONFIG}", f"analyze {CONFIG} --output-dir new"):
        done = repdrift(command, folder)
        said = done.stdout + done.stderr
        if done.returncode:
            assert makes_another is not False, said
            if makes_another is None:
                named = (path.name, str(path.parent), "model/", "files in model were changed", "model holds no weights")
                assert any(words in said for words in named), (command, said)
            next_steps = ("repdrift train", path.name, "repdrift extract", "Copy or download the weights")
            assert any(words in said for words in next_steps), (command, said)
        elif command.startswith("analyze"):
            assert pd.read_parquet(folder / "new/drift.parquet").equals(finished.table), said


@pytest.mark.slow
@pytest.mark.parametrize("what", [what for what, (_, _, makes_another) in CHANGES.items() if makes_another])
def test_a_study_of_changed_inputs_is_made_anew_as_if_it_were_the_first(finished, tmp_path, what):
    """The reference is the same study in a folder without results."""
    folder, fresh = tmp_path / "study", tmp_path / "fresh"
    changed_copy(finished, folder, what)
    shutil.copytree(folder, fresh, ignore=shutil.ignore_patterns("results", "base_representations"))
    for at in (folder, fresh):
        for stage in ("train", "extract --checkpoint all", "analyze"):
            repdrift(f"{stage} {CONFIG}", at, fails=False)
    table = pd.read_parquet(folder / TABLE)
    pd.testing.assert_frame_equal(table, pd.read_parquet(fresh / TABLE))
    assert not table.equals(finished.table)


def test_runs_of_two_results_folders_are_not_mixed(finished, tmp_path):
    """A second folder has none of the runs of the first; sets that are carried there without their runs are refused or the same."""
    folder = shutil.copytree(finished.root, tmp_path / "study")
    study = folder / "study.yaml"
    study.write_text(study.read_text().replace("results_dir: results", "results_dir: second"))
    done = repdrift(f"extract {CONFIG}", folder, fails=True)
    assert "repdrift train" in done.stderr
    shutil.copytree(folder / RUNS, folder / RUNS.replace("results", "second"))
    done = repdrift(f"analyze {CONFIG}", folder)
    if done.returncode:
        assert "repdrift train" in done.stderr or "repdrift extract" in done.stderr
    else:
        assert pd.read_parquet(folder / "second/drift_analysis/drift.parquet").equals(finished.table)
    assert pd.read_parquet(folder / TABLE).equals(finished.table)


def garbage(path):
    path.write_bytes(b"\xff\x00 not a name")


def dangling(path):
    path.symlink_to("gone")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=pytest.mark.slow) if fault is not garbage else fault
        for fault in (garbage, Path.mkdir, dangling)
    ],
)
def test_what_stands_among_the_claims_is_named_or_takes_no_part(finished, tmp_path, fault):
    """Every lock and owner file of a killed run is damaged; nothing is trained yet when they are read."""
    keys = [json.loads((finished.root / name).read_text())["key"][:32] for names in finished.kinds.values() for name in names if name.endswith("/run.json")]  # fmt: skip
    for number, suffix in enumerate(("lock", "owner")):
        folder = shutil.copytree(finished.root, tmp_path / str(number))
        (folder / "results/.claims").mkdir(exist_ok=True)
        for key in keys:
            fault(folder / f"results/.claims/{key}.{suffix}")
        repdrift(f"train {CONFIG}", folder, fails=False)  # a finished run needs no claim
        for run in (folder / "results").glob("lora_*"):
            shutil.rmtree(run)
        done = repdrift(f"train {CONFIG} --method lora --seed 1", folder)
        said = done.stdout + done.stderr
        assert done.returncode == 0 or (".claims" in said and suffix in said), said
