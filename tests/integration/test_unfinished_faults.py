"""Damaged files of an unfinished set, of a remote copy, and what a kill leaves: each is named, or healed to the same numbers."""

import multiprocessing
import os
import shutil
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from repdrift.core.records.run import RunRecord
from repdrift.stores import RepresentationSetWriter
from tests.integration.damaged_study import RUNS, TABLE, repdrift
from tests.integration.faults import FAULTS, exchange, flip_keeping_times, link_to_other, obeying_modes

CONFIG = "--config study.yaml"
SET = f"{RUNS}/sst2_lora_seed1/step_000000"
ALONE = [fault for fault in FAULTS if fault not in (exchange, link_to_other, flip_keeping_times)]


@pytest.fixture(scope="module")
def unfinished(finished, tmp_path_factory):
    """The study with one set that was interrupted when all its batches were written. Nobody may write to it."""
    folder = shutil.copytree(finished.root, tmp_path_factory.mktemp("unfinished") / "study")
    shutil.rmtree(folder / SET)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RepresentationSetWriter, "finish", interrupted)
        assert repdrift(f"extract {CONFIG}", folder).returncode == 130
    assert (folder / SET / ".partial/journal.jsonl").is_file()
    return folder


def same_set(folder, reference):
    names = [path.name for path in sorted((reference / SET).glob("layer_*"))]
    return names and all((folder / SET / n).read_bytes() == (reference / SET / n).read_bytes() for n in names)


def heals(folder, finished, wrong, what, damaged):
    """Run the extraction, doing once what a refusal says, and the analysis: layers and numbers are those from before."""
    for attempt in range(2):
        try:
            done = repdrift(f"extract {CONFIG}", folder)
        except Exception as error:
            wrong.append(f"{what}: {type(error).__name__}: {error}")
            return
        if done.returncode == 0:
            break
        if attempt or damaged.name not in done.stderr:
            wrong.append(f"{what}: refused: {done.stderr[-400:]}")
            return
        if damaged.is_file():
            damaged.chmod(0o644)
        else:
            damaged.rename(folder / "away")
    repdrift(f"analyze {CONFIG}", folder, fails=False)
    if not same_set(folder, finished.root) or not pd.read_parquet(folder / TABLE).equals(finished.table):
        wrong.append(f"{what}: other numbers")


def damaged_unfinished(finished, unfinished, name, fault, folder):
    shutil.copytree(unfinished, folder)
    damaged = folder / SET / ".partial" / name
    fault(damaged, None)
    wrong = []
    with obeying_modes():
        for command in (f"status {CONFIG}", f"verify {RUNS}"):
            try:
                said = repdrift(command, folder).stdout
            except Exception as error:
                wrong.append(f"{command}: {type(error).__name__}: {error}")
            else:
                assert "unfinished" in said or name in said, command
        heals(folder, finished, wrong, f"{name}, {fault.__name__}", damaged)
    return wrong


PARTS = ["journal.jsonl", "layer_1.pt"]


def test_damaged_parts_of_an_unfinished_set_are_done_again(finished, unfinished, tmp_path):
    wrong = []
    for number, fault in enumerate(ALONE[::4]):
        wrong += damaged_unfinished(finished, unfinished, PARTS[number % 2], fault, tmp_path / str(number))
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_every_fault_of_an_unfinished_set_is_named_or_healed(finished, unfinished, tmp_path, name):
    wrong = []
    for number, fault in enumerate(ALONE):
        wrong += damaged_unfinished(finished, unfinished, name, fault, tmp_path / str(number))
    assert not wrong, "\n".join(wrong)


def test_a_journal_with_a_changed_number_is_not_believed(finished, unfinished, tmp_path):
    """A line that tells of another batch than the one whose rows it names would leave that batch out."""
    content = (unfinished / SET / ".partial/journal.jsonl").read_text()
    assert '"batch":3' in content
    for number, (old, new) in enumerate(
        [('"batch":3', '"batch":4'), ('"n_batches":', '"n_batches":1'), ('"rows":[[', '"rows":[[1')]
    ):
        folder = tmp_path / str(number)
        shutil.copytree(unfinished, folder)
        journal = folder / SET / ".partial/journal.jsonl"
        journal.write_text(content.replace(old, new, 1))
        wrong = []
        heals(folder, finished, wrong, new, journal)
        assert not wrong, wrong


def test_rows_do_not_go_through_a_link_into_another_set(finished, unfinished, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(unfinished, folder)
    victim = folder / f"{RUNS}/sst2_lora_seed2/step_000000/layer_1.pt"
    before = victim.read_bytes()
    link = folder / SET / ".partial/layer_1.pt"
    link.unlink()
    link.symlink_to(victim)
    wrong = []
    heals(folder, finished, wrong, "link", link)
    assert not wrong
    assert victim.read_bytes() == before


@pytest.mark.parametrize("name", ["layer_1.pt", "metadata.json", "adapter_weights/lora_A_layer_0.pt"])
def test_a_damaged_remote_is_refused_and_mended_by_a_push(finished, tmp_path, name):
    remote, here = tmp_path / "remote", tmp_path / "here"
    repdrift(f"push {RUNS} {remote}", finished.root, fails=False)
    path = remote / SET.removeprefix(f"{RUNS}/") / name
    for fault in ALONE:
        if fault.__name__ == "cut_last_byte" and name == "metadata.json":
            continue  # the line break at the end says nothing
        whole = path.read_bytes()
        fault(path, None)
        if path.is_file() and path.stat().st_mode & 0o777 and path.read_bytes() == whole:
            continue
        with obeying_modes():
            done = repdrift(f"pull {remote} --output-dir {here}", tmp_path)
        assert done.returncode == 1, fault
        assert path.name in done.stderr, (fault, done.stderr)
        assert "push" in done.stderr.lower() or "read" in done.stderr, (fault, done.stderr)
        assert not (here / "sst2_lora_seed1/step_000000/metadata.json").exists(), fault
        if path.is_dir():
            path.rmdir()
        elif path.is_symlink() or path.exists():
            path.unlink()  # a folder or a link there is for its owner to move
        for stray in path.parent.glob("*"):
            if stray.name.swapcase() == path.name:
                stray.unlink()
        repdrift(f"push {RUNS} {remote}", finished.root, fails=False)
        repdrift(f"pull {remote} --output-dir {here}", tmp_path, fails=False)
        assert (here / "sst2_lora_seed1/step_000000" / name).read_bytes() == whole
        shutil.rmtree(here)


def die_at(command, folder, number):
    """Run a command and die of SIGKILL before the file of this number gets its name, or half-way through its copy."""
    calls, rename, copy = 0, os.replace, shutil.copyfile

    def counted(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(*arguments, **options)

    def copied(source, target, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            content = Path(source).read_bytes()
            Path(target).write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return copy(source, target, **options)

    os.replace, shutil.copyfile = counted, copied
    repdrift(command, folder)


def killed_at(command, folder, number, death=die_at):
    """Run a command in a process that dies at a point; returns whether it died before its end."""
    process = multiprocessing.get_context("forkserver").Process(target=death, args=(command, folder, number))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


KILLED = [
    (f"analyze {CONFIG} --output-dir out", (1, 2, 4)),
    (f"visualize {CONFIG} --output-dir out", (1, 12)),
    (f"push {RUNS} out", (1, 7, 20)),
    ("pull copy --output-dir out", (1, 6, 19)),
    (
        "compare model model2 --data data/sst2/validation.jsonl --text-column sentence --samples 12 --output-dir out",
        (1, 3),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "points"), KILLED)
def test_a_command_that_is_killed_while_it_writes_is_finished_by_the_next_one(
    finished, tuned_bert, tmp_path, command, points
):
    shutil.copytree(finished.root, tmp_path / "whole")
    shutil.copytree(tuned_bert, tmp_path / "whole/model2")
    repdrift(f"push {RUNS} copy", tmp_path / "whole", fails=False)
    again = shutil.copytree(tmp_path / "whole", tmp_path / "once")
    repdrift(command, again, fails=False)
    for number in points:
        folder = shutil.copytree(tmp_path / "whole", tmp_path / f"killed{number}")
        assert killed_at(command, folder, number)
        repdrift(command, folder, fails=False)
        left = {p.relative_to(folder): p for p in (folder / "out").rglob("*") if p.is_file()}
        assert sorted(left) == sorted(p.relative_to(again) for p in (again / "out").rglob("*") if p.is_file())
        for name, path in left.items():
            if name.suffix in (".pt", ".csv", ".parquet", ".png") or name.name == "metadata.json":
                assert path.read_bytes() == (again / name).read_bytes(), name


def die_at_the_writing_of(command, folder, number):
    """Run a command and die of SIGKILL when it opens the file of this number below `results` for writing."""
    calls = 0

    def hear(event, arguments):
        nonlocal calls
        if event == "open" and "/results/" in str(arguments[0]) and arguments[2] & os.O_ACCMODE != os.O_RDONLY:
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)
    repdrift(command, folder)


@pytest.mark.slow
def test_a_training_that_is_killed_while_it_writes_is_done_again_to_the_same_weights(finished, tmp_path):
    expected = {record.seed: record.weights_digest for record in runs(finished.root)}
    for number in (1, 2, 4, 6, 8, 10):
        folder = shutil.copytree(
            finished.root, tmp_path / str(number), ignore=shutil.ignore_patterns("results", "base_representations")
        )
        (folder / "results").mkdir()
        died = killed_at(f"train {CONFIG} --method lora", folder, number, die_at_the_writing_of)
        assert died or number > 2, number
        repdrift(f"train {CONFIG} --method lora", folder, fails=False)
        assert {record.seed: record.weights_digest for record in runs(folder)} == expected, number
        assert not list((folder / "results/.claims").iterdir())


def runs(folder):
    """The records of the finished LoRA runs."""
    return [RunRecord.read(path) for path in sorted((folder / "results").glob("lora_*/run.json"))]
