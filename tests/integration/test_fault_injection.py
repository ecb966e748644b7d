"""Every file that a study writes is damaged in many ways; then a command refuses and names it, or heals it."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from tests.command_line import run_here

STUDY = """
name: tiny
model: {model}
data_dir: {data}
tasks: [sst2]
seeds: [1, 2]
training:
  all: {{epochs: 1, batch_size: 8, max_length: 32, checkpoint_every: 2, learning_rate: 0.01}}
analysis: {{replicates: 400, equivalence_margin: 1.25}}
results_dir: results
base_dir: base_representations
"""
RESULTS = "drift_analysis_results.json"
TABLE = "results/drift_analysis/drift.parquet"


def flip(path, _other):
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) * 2 // 3] ^= 1 << (len(data) % 7)
    path.write_bytes(data)


def truncate(path, _other):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path, _other):
    path.write_bytes(b"")


def delete(path, _other):
    path.unlink()


def exchange(path, other):
    if other is not None:
        path.write_bytes(other.read_bytes())


def folder_in_place(path, _other):
    path.unlink()
    path.mkdir()


FAULTS = [flip, truncate, empty, delete, exchange, folder_in_place]


@dataclass(frozen=True)
class Finished:
    """A study that ran through, and of each kind of file that it wrote the paths, relative to its folder."""

    root: Path
    table: pd.DataFrame
    kinds: dict[str, list[str]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_bert, tiny_data):
    root = tmp_path_factory.mktemp("study")
    (root / "study.yaml").write_text(STUDY.format(model=tiny_bert, data=tiny_data))
    for command in ("train", "extract --checkpoint all", "analyze", "visualize"):
        repdrift(command, root, fails=False)
    kinds = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.name.startswith(".")):
        name = path.relative_to(root).as_posix()
        kinds.setdefault(re.sub(r"_\d{8}_\d{6}(_\d+)?|\d+", "#", name), []).append(name)
    return Finished(root, pd.read_parquet(root / TABLE), kinds)


def repdrift(command, root, *, fails=None):
    return run_here(f"python -m repdrift {command} --config study.yaml", root, fails=fails)


def is_named(damaged, said):
    """True if a message names the file, or what is made anew by a command that it also names."""
    folder = damaged.parent.name if damaged.parent.name in ("identity", "random_change") else damaged.parent.parent.name
    if damaged.name == "run.json":
        return "run.json" in said or "repdrift train" in said
    return damaged.name in said or (damaged.name == "metadata.json" and folder in said)


def other_values(table, reference, *, may_lack):
    """True if a table has another number than the reference, or lacks rows where it may not.

    A set without its metadata is unfinished: it is missing, and the others have the values that they have with it.
    """
    if table.equals(reference):
        return False
    key = ["task", "method", "seed", "step", "layer", "measure"]
    both = table.merge(reference, on=key, suffixes=("", "_reference"))
    same = len(both) == len(table) and both["value"].equals(both["value_reference"].rename("value"))
    return not (may_lack and same)


def commands_that_read(name):
    """The commands whose answer may depend on a file."""
    if "/drift_analysis/" in name:
        return ("visualize --output-dir again", "analyze")
    if "representations/" in name:
        return ("status", "analyze --output-dir new", "extract --checkpoint all", "analyze")
    return ("status", "extract --checkpoint all", "analyze")


def fault_in(finished, kind, fault, folder):
    """Damages the first file of a kind in a copy of the study. Returns what is wrong with the commands' answers."""
    shutil.copytree(finished.root, folder, symlinks=True)
    name, *others = finished.kinds[kind]
    damaged = folder / name
    before = damaged.read_bytes()
    fault(damaged, finished.root / others[-1] if others else None)
    if damaged.is_file() and damaged.read_bytes() == before:
        return []  # the other file of its kind is equal
    wrong = []
    for command in commands_that_read(name):
        try:
            done = repdrift(command, folder)
        except Exception as error:
            wrong.append(f"{command}: {type(error).__name__}: {error}")
            continue
        said = done.stdout + done.stderr
        if done.returncode:
            if not is_named(damaged, said):
                wrong.append(f"{command}: refused without naming {damaged.name}: {said[-300:]}")
            if command.startswith("extract"):
                break  # the set is gone, as the message says, and the study is another one without it
        elif damaged.name == RESULTS and command.startswith("visualize"):
            wrong.append(f"{command}: drawn from damaged results")
        elif command.startswith("analyze"):
            table = pd.read_parquet(folder / (TABLE if command == "analyze" else "new/drift.parquet"))
            if other_values(table, finished.table, may_lack=damaged.name == "metadata.json"):
                wrong.append(f"{command}: other numbers: {said[-300:]}")
    return [f"{name}, {fault.__name__}: {line}" for line in wrong]


def kinds_that_are_read(finished):
    """The kinds of files that a command reads again: not the figures, and not what is for people only."""
    return [
        kind
        for kind in finished.kinds
        if not kind.startswith(("results/drift_visualizations/", "study.yaml"))
        and not kind.endswith((".csv", ".md", "/journal.jsonl"))
    ]


def test_a_damaged_file_of_every_kind_is_named_or_healed(finished, tmp_path):
    """Each kind of file meets one fault, each fault several kinds; the slow test makes every pair."""
    wrong = []
    for number, kind in enumerate(kinds_that_are_read(finished)):
        wrong += fault_in(finished, kind, FAULTS[number % len(FAULTS)], tmp_path / str(number))
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_in_every_kind_of_file_is_named_or_healed(finished, tmp_path, fault):
    wrong = []
    for number, kind in enumerate(kinds_that_are_read(finished)):
        wrong += fault_in(finished, kind, fault, tmp_path / str(number))
    assert not wrong, "\n".join(wrong)
