"""Every file that a study writes is damaged in many ways; then each command refuses and names it, or heals it.

The files are found by listing, so that a new file is covered unasked. What is wrong is collected, and told at once.
"""

import os
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from repdrift.core.errors import DataError
from repdrift.report.report_data import read_report_data
from tests.integration.damaged_study import BASE, DRIFT_ALONE, RUNS, STAGES, Damage, damaged_file, kind_of, repdrift
from tests.integration.faults import CLASSES, FAULTS

LEFT_OUT = {
    r"study\.yaml": "the user's own input: another study file is another study",
    r"results/journal\.jsonl": "for people: appended to, never read",
    r".*/drift_analysis_summary\.md": "for people: never read",
    r"results/drift_visualizations/.*": "for people: drawn anew each time, never read",
    r"results/comparison/.*": "for people: made anew each time, never read",
    r".*/README\.md": "peft's card beside an adapter, checked as a part of the model but never read for a number",
}
RESULTS = "results/drift_analysis/drift_analysis_results.json"
CONFIG = "--config study.yaml"


def alike(finished):
    """The kinds of files that commands read, by the name that they have in their folders."""
    groups = {}
    for kind, names in finished.kinds.items():
        if not any(re.fullmatch(pattern, names[0]) for pattern in LEFT_OUT):
            groups.setdefault(re.sub("lora_[AB]_", "lora_#_", kind.split("/")[-1]), []).append(names[0])
    return groups


def test_a_damaged_file_of_every_name_is_named_or_healed(finished, tmp_path):
    """Each name meets one fault, each class of faults several names; the slow test makes all pairs."""
    wrong = []
    for number, names in enumerate(alike(finished).values()):
        name, fault = names[number % len(names)], FAULTS[number % len(FAULTS)]
        damage = damaged_file(finished, name, fault, tmp_path / str(number), follow=False)
        wrong += damage.wrong if damage is not None else []
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("faults", CLASSES.values(), ids=CLASSES)
def test_every_kind_meets_every_class_of_faults_and_every_name_every_fault(finished, tmp_path, faults, record_property):
    """Kinds that share a name in their folders share the faults of a class."""
    wrong, cases, commands = [], 0, 0
    for names in alike(finished).values():
        for number in range(max(len(names), len(faults))):
            name, fault = names[number % len(names)], faults[number % len(faults)]
            damage = damaged_file(finished, name, fault, tmp_path / "study")
            shutil.rmtree(tmp_path / "study")
            if damage is not None:
                wrong, cases, commands = wrong + damage.wrong, cases + 1, commands + damage.commands
    record_property("cases, commands, wrong", (cases, commands, len(wrong)))
    assert cases
    assert not wrong, "\n".join(wrong)


class Opened:
    """The files that the interpreter opened for reading while it listens."""

    def __init__(self):
        self.listens, self.names = True, set()
        sys.addaudithook(self._hear)  # it cannot be taken away again

    def _hear(self, event, arguments):
        if self.listens and event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
            path, mode, flags = arguments
            reads = "r" in mode or "+" in mode if isinstance(mode, str) else flags & os.O_ACCMODE != os.O_WRONLY
            if reads and not os.fsdecode(path).endswith(".partial"):  # a new file, before it gets its name
                self.names.add(os.fsdecode(path))


def test_what_is_left_out_is_read_by_no_command(finished, tmp_path):
    """Held by the interpreter's own report of every file that it opens."""
    folder = shutil.copytree(finished.root, tmp_path / "study")
    opened = Opened()
    try:
        looking = (f"status {CONFIG}", f"verify {RUNS}", f"push {RUNS} remote", "power results/drift_analysis")
        for command in (*looking, *(f"{stage} {CONFIG}" for stage in STAGES)):
            repdrift(command, folder, fails=False)
        compare = f"compare model {next((folder / 'results').glob('lora_*')) / 'final_model'} --data data/sst2/validation.jsonl"
        for _ in range(2):
            repdrift(
                f"{compare} --text-column sentence --samples 12 --output-dir results/comparison", folder, fails=False
            )
    finally:
        opened.listens = False
    drawn = [p for p in (folder / "results/drift_visualizations").iterdir() if p.is_file()]
    assert drawn
    assert (folder / "results/comparison/comparison.json").is_file()
    names = {name.removeprefix(f"{folder}/") for name in opened.names}
    # An earlier comparison is asked which files its sections wrote. A damaged one names none (tests/unit/comparison/test_what_moved.py).
    names -= {"results/comparison/comparison.json"}
    assert RESULTS in names, "the hook hears of what is read"
    for pattern in LEFT_OUT:
        if pattern not in (r"study\.yaml", r".*/README\.md"):  # these are read: as input, and for their checksum
            assert not [name for name in names if re.fullmatch(pattern, name)], pattern


@pytest.mark.parametrize("name", ["drift.parquet", "drift_analysis_results.json"])
@pytest.mark.parametrize("bits", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_no_flipped_bit_of_the_results_becomes_another_table(finished, tmp_path, name, bits):
    folder = shutil.copytree((finished.root / RESULTS).parent, tmp_path / "analysis")
    content = (folder / name).read_bytes()
    expected = read_report_data(folder / "drift_analysis_results.json")
    for at in np.random.default_rng(0).choice(len(content) * 8, bits, replace=False):
        damaged = bytearray(content)
        damaged[at // 8] ^= 1 << (at % 8)
        (folder / name).write_bytes(damaged)
        said, found = "", None
        try:
            found = read_report_data(folder / "drift_analysis_results.json")
        except DataError as error:
            said = str(error)
        if found is None:
            assert name in said
        else:
            assert found.results == expected.results, at
            pd.testing.assert_frame_equal(found.table, expected.table)


def swap(folder, first, second):
    (folder / first).rename(folder / "aside")
    (folder / second).rename(folder / first)
    (folder / "aside").rename(folder / second)


def swapped(first, second):
    return lambda folder: swap(folder, first, second)


def copied(source, target):
    def copy(folder):
        if (folder / source).is_dir():
            shutil.rmtree(folder / target, ignore_errors=True)
            shutil.copytree(folder / source, folder / target)
        else:
            shutil.copy2(folder / source, folder / target)

    return copy


FULL, LORA = f"{RUNS}/sst2_full_finetune_seed", f"{RUNS}/sst2_lora_seed"
EXCHANGES = {
    "layers of one set": (swapped(f"{LORA}1/step_000000/layer_1.pt", f"{LORA}1/step_000000/layer_2.pt"), ["layer_1.pt", "layer_2.pt"]),
    "a layer of the LoRA set in the full one": (copied(f"{LORA}1/step_000000/layer_1.pt", f"{FULL}1/step_000000/layer_1.pt"), ["layer_1.pt"]),
    "sets of two seeds": (swapped(f"{LORA}1/step_000000", f"{LORA}2/step_000000"), ["sst2_lora_seed1/step_000000"]),
    "sets of two methods": (swapped(f"{LORA}1/step_000000", f"{FULL}1/step_000000"), ["seed1/step_000000"]),
    "sets of two steps": (swapped(f"{LORA}1/step_000000", f"{LORA}1/step_000002"), ["sst2_lora_seed1/step_00000"]),
    "a checkpoint's set as the final model's": (copied(f"{LORA}1/step_000002", f"{LORA}1/step_000000"), ["sst2_lora_seed1/step_000000"]),
    "the base set as a run's": (copied(f"{BASE}/sst2/step_000000", f"{LORA}1/step_000000"), ["sst2_lora_seed1/step_000000"]),
    "a run's set as the base": (copied(f"{LORA}1/step_000000", f"{BASE}/sst2/step_000000"), [f"{BASE}/sst2/step_000000"]),
    "the control of another method": (swapped(f"{LORA}1/random_change", f"{FULL}1/random_change"), ["random_change"]),
    "a set as the control": (copied(f"{LORA}1/step_000000", f"{LORA}1/random_change"), ["random_change"]),
    "metadata of another seed": (copied(f"{LORA}2/step_000000/metadata.json", f"{LORA}1/step_000000/metadata.json"), ["sst2_lora_seed1/step_000000"]),
    "metadata of the control": (copied(f"{LORA}1/random_change/metadata.json", f"{LORA}1/step_000000/metadata.json"), ["sst2_lora_seed1/step_000000"]),
}  # fmt: skip


@pytest.mark.parametrize("what", EXCHANGES)
def test_sets_and_layers_that_are_exchanged_are_named_or_healed(finished, tmp_path, what):
    damage = _damaged(finished, tmp_path, what, *EXCHANGES[what])
    damage.run([f"status {CONFIG}"])
    if "layer" not in what:  # names and records are at fault, not contents: status sees it
        assert "fault: " in repdrift(f"status {CONFIG}", damage.folder).stdout
    damage.run(
        [f"analyze {CONFIG} --output-dir new", f"extract {CONFIG} --checkpoint all", f"analyze {CONFIG} {DRIFT_ALONE}"]
    )
    damage.follow_advice(damage.folder / "nothing")
    assert not damage.wrong, "\n".join(damage.wrong)


def _damaged(finished, tmp_path, what, change, names):
    folder = tmp_path / "study"
    shutil.copytree(finished.root, folder)
    change(folder)
    return Damage(finished, folder, what, tuple(names))


def _runs(finished):
    """The run folders by method, two of each, relative to the study."""
    names = [name for kind in finished.kinds for name in finished.kinds[kind] if kind_of(name).endswith("#/run.json")]
    return {
        method: sorted(name.removesuffix("/run.json") for name in names if f"/{method}_" in name)
        for method in ("lora", "full_finetune")
    }


@pytest.mark.parametrize(
    "what",
    ["copied"]
    + [pytest.param(f"{what} exchanged", marks=pytest.mark.slow) for what in ("run.json", "folders", "final models")],
)
def test_runs_that_are_exchanged_or_copied_are_named_or_healed(finished, tmp_path, what):
    first, second = _runs(finished)["lora"]
    change = {
        "run.json exchanged": swapped(f"{first}/run.json", f"{second}/run.json"),
        "folders exchanged": swapped(first, second),
        "copied": copied(first, "results/a_copy"),
        "final models exchanged": swapped(f"{first}/final_model", f"{second}/final_model"),
    }[what]
    damage = _damaged(finished, tmp_path, what, change, ["run.json"])
    damage.run([f"train {CONFIG}", f"extract {CONFIG} --checkpoint all", f"analyze {CONFIG} --output-dir new"])
    damage.follow_advice(damage.folder / "nothing")
    assert not damage.wrong, "\n".join(damage.wrong)
    assert "delete" not in damage.said.lower(), "nothing that was trained is lost by what a message says"


def test_files_that_were_added_take_no_part_or_are_named(finished, tmp_path):
    first, _ = _runs(finished)["lora"]
    for number, added in enumerate(
        (f"{LORA}1/step_000000/layer_9.pt", f"{LORA}1/step_000000/notes.txt", f"{first}/final_model/added_tokens.json")
    ):
        damage = _damaged(
            finished, tmp_path / str(number), added, lambda f, a=added: (f / a).write_text("{}"), [added.split("/")[-1]]
        )
        damage.run([f"extract {CONFIG} --checkpoint all", f"analyze {CONFIG}"])
        damage.run([f"verify {RUNS}"] if added.startswith(RUNS) else [])
        damage.follow_advice(damage.folder / added)
        assert not damage.wrong, "\n".join(damage.wrong)


def test_a_set_of_a_model_that_was_trained_otherwise_is_refused(finished, tmp_path):
    """The study changes its batch size, and one seed of two is trained and extracted again."""
    shutil.copytree(finished.root, tmp_path / "study")
    study = tmp_path / "study/study.yaml"
    study.write_text(study.read_text().replace("batch_size: 8", "batch_size: 4"))
    only = f"{CONFIG} --method lora --seed 1"
    for command in (f"train {only}", f"extract {only}"):
        repdrift(command, tmp_path / "study", fails=False)
    said = repdrift(f"analyze {CONFIG}", tmp_path / "study", fails=True).stderr
    assert "trained with other settings than the study has now" in said
    study.write_text(study.read_text().replace("batch_size: 4", "batch_size: 8"))
    said = repdrift(f"analyze {CONFIG}", tmp_path / "study", fails=True).stderr
    assert "sst2_lora_seed1/step_000000 was made from another model" in said
    repdrift(f"extract {CONFIG} --method lora --seed 1", tmp_path / "study", fails=False)
    repdrift(f"analyze {CONFIG}", tmp_path / "study", fails=False)
    again = pd.read_parquet(tmp_path / "study/results/drift_analysis/drift.parquet")
    pd.testing.assert_frame_equal(again, finished.table)


def test_results_of_an_earlier_analysis_with_another_table_are_refused(finished, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(finished.root, folder)
    repdrift(f"analyze {CONFIG} --output-dir other --measure cka --measure procrustes", folder, fails=False)
    for name in ("drift.parquet", "drift.csv", "drift_analysis_results.json"):
        shutil.copytree(folder / "results/drift_analysis", folder / name)
        shutil.copy2(folder / "other" / name, folder / name / name)
        if name == "drift.csv":
            (folder / name / "drift.parquet").unlink()  # else the csv is not read
        done = repdrift(
            f"visualize --results-file {name}/drift_analysis_results.json --output-dir {name}/drawn", folder
        )
        assert done.returncode == 1
        assert "is not the table that was written with the results" in done.stderr
        assert "repdrift analyze" in done.stderr
        assert not (folder / name / "drawn").exists()
