"""What the operating system refuses, through every command: one line with the file and the reason, and nothing half-written."""

import builtins
import errno
import io
import os
import shutil
import subprocess
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from repdrift.core import fingerprint
from tests.command_line import run_here
from tests.tiny_models import write_sentences

STUDY = """
name: tiny
model: base
data_dir: data
tasks: [sst2]
seeds: [1, 2]
training:
  all: {epochs: 1, batch_size: 8, max_length: 32, learning_rate: 0.01}
analysis: {replicates: 400}
"""
LORA_SET = "results/phase3_representations/sst2_lora_seed1/step_000000"
BASE_SET = "base_representations/sst2/step_000000"
ANALYSIS = "results/drift_analysis"
COMPARE = "compare base tuned --data texts.txt --output-dir {out}"
ANALYZE = "analyze --config study.yaml --output-dir {out}"
VISUALIZE = "visualize --config study.yaml --output-dir {out}"
EXTRACT = "extract --config study.yaml"

READS = [
    ("status --config study.yaml", "study.yaml"),
    ("status --config study.yaml", "results"),
    ("train --config study.yaml", "data/sst2/train.jsonl"),
    ("train --config study.yaml", "base/model.safetensors"),
    (EXTRACT, "data/sst2/validation.jsonl"),
    (EXTRACT, "base/config.json"),
    (EXTRACT, "base/tokenizer.json"),
    (EXTRACT, "{lora_run}/final_model"),
    (EXTRACT, "{lora_run}/final_model/adapter_model.safetensors"),
    (ANALYZE, f"{LORA_SET}/layer_0.pt"),
    (ANALYZE, f"{BASE_SET}/metadata.json"),
    (VISUALIZE, f"{ANALYSIS}/drift_analysis_results.json"),
    (VISUALIZE, f"{ANALYSIS}/drift.parquet"),
    ("power results/drift_analysis", f"{ANALYSIS}/drift_analysis_results.json"),
    (COMPARE, "texts.txt"),
    (COMPARE, "base"),
    (COMPARE, "base/config.json"),
    (COMPARE, "base/model.safetensors"),
    (COMPARE, "tuned/config.json"),
    (COMPARE, "tuned/model.safetensors"),
    ("verify base_representations", "base_representations"),
    ("verify base_representations", f"{BASE_SET}/layer_1.pt"),
    ("verify base_representations", f"{BASE_SET}/metadata.json"),
    ("push base_representations {out}", f"{BASE_SET}/layer_1.pt"),
    ("push base_representations {out}", f"{BASE_SET}/metadata.json"),
    ("pull base_representations --output-dir {out}", "base_representations"),
    ("pull base_representations --output-dir {out}", f"{BASE_SET}/layer_1.pt"),
]
"""Commands, each with a file or folder that it must read."""
NUMBERS = [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE]

WRITES = [
    ("train --config study.yaml --results-dir {out}", "train"),
    ("extract --config study.yaml --base-dir {out}", "extract"),
    (ANALYZE, "analyze"),
    (VISUALIZE, "visualize"),
    (COMPARE, "compare"),
    ("push base_representations {out}", "push"),
    ("pull base_representations --output-dir {out}", "pull"),
    ("demo --output-dir {out}", "demo"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_bert, tuned_bert, tiny_data):
    """A study that ran through. Its folder is left as it is: commands write elsewhere, or refuse."""
    root = tmp_path_factory.mktemp("study")
    for name, source in (("base", tiny_bert), ("tuned", tuned_bert), ("data", tiny_data)):
        shutil.copytree(source, root / name)
    (root / "study.yaml").write_text(STUDY)
    write_sentences(root / "texts.txt", 12)
    run_here("python -m repdrift run study.yaml", root)
    return root


@contextmanager
def refusing(target, number):
    """Every opening or listing of `target` by Python is refused with this error number. Yields a count of the refusals."""
    refused = Counter()

    def guarded(real):
        def call(path=".", *arguments, **settings):
            if isinstance(path, (str, os.PathLike)) and Path(path).absolute() == target:
                refused["times"] += 1
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *arguments, **settings)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((builtins, "open"), (io, "open"), (os, "open"), (os, "listdir"), (os, "scandir")):
            patch.setattr(module, name, guarded(getattr(module, name)))
        yield refused


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("case", range(len(READS)), ids=lambda i: f"{READS[i][0].split()[0]} {Path(READS[i][1]).name}")
def test_a_file_that_may_not_be_read_is_named_with_the_reason(case, study, tmp_path):
    command, role = READS[case]
    number = NUMBERS[case % len(NUMBERS)]
    lora_run = next(path.parent for path in study.glob("results/lora_*/run.json"))
    target = study / role.format(lora_run=lora_run.relative_to(study))
    before = files_in(study)
    fingerprint._known_sha256.clear()  # as in a new process
    with refusing(target, number) as refused:
        done = run_here(f"python -m repdrift {command.format(out=tmp_path / 'out')}", study, fails=True)
    assert refused["times"]
    said = done.stdout + done.stderr
    line = next(line for line in said.splitlines() if os.strerror(number) in line)
    assert target.name in line
    assert line.rstrip(" |").endswith((".", "again: it makes the set anew."))
    assert "Errno" not in line
    assert files_in(study) == before
    written = files_in(tmp_path)
    assert not [name for name in written if "partial" in name or ".lock" in name]
    assert not [
        name for name in written if name.endswith(("step_000000/metadata.json", "results.json", "comparison.json"))
    ]


def in_the_way(kind, folder):
    """Makes what stands in the way of an output folder; returns the folder's path."""
    out = folder / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "below a file":
        out.write_text("mine")
        return out / "below"
    elif kind == "loop":
        out.symlink_to(out)
    elif kind == "dangling":
        out.symlink_to(folder / "nowhere" / "at" / "all")
    else:
        return folder / ("n" * 300)
    return out


@pytest.mark.parametrize("kind", ["file", "below a file", "loop", "dangling", "long"])
@pytest.mark.parametrize(("command", "name"), WRITES, ids=[name for _, name in WRITES])
def test_an_output_folder_that_cannot_be_made_is_named(command, name, kind, study, tmp_path):
    out = in_the_way(kind, tmp_path)
    before = sorted(tmp_path.iterdir())
    done = run_here(f"python -m repdrift {command.format(out=out)}", study, fails=True)
    error = done.stderr[done.stderr.index("repdrift: error: ") :]
    assert done.returncode == 1
    assert out.name in error or str(out) in error
    assert "Errno" not in error
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before
    if kind in ("file", "below a file"):
        assert (tmp_path / "out").read_text() == "mine"


def test_a_broken_link_in_the_data_folder_is_not_passed_over(study, tmp_path):
    (tmp_path / "sst2").mkdir()
    shutil.copy(study / "data/sst2/train.jsonl", tmp_path / "sst2" / "train.csv")  # what would be read in its place
    (tmp_path / "sst2" / "train.jsonl").symlink_to(tmp_path / "moved.jsonl")
    text = STUDY.replace("data_dir: data", f"data_dir: {tmp_path}")
    (tmp_path / "s.yaml").write_text(text)
    done = run_here(f"python -m repdrift train --config {tmp_path / 's.yaml'}", study, fails=True)
    assert "train.jsonl is a link to" in done.stderr
    assert "moved.jsonl, which does not exist" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [8, 40, 72])
@pytest.mark.parametrize(("command", "name"), WRITES[:-1], ids=[name for _, name in WRITES[:-1]])
def test_a_disk_that_is_really_full(command, name, kilobytes, study, tmp_path):
    """On a file system of a few kilobytes. Such a one needs rights, so the tests with injected errors stand beside this one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("no right to mount")
    try:
        done = run_here(f"python -m repdrift {command.format(out=disk / 'out')}", study, fails=None)
        written = files_in(disk)
        for folder in disk.glob("out/*/final_model"):
            assert (folder.parent / "run.json").is_file()
        assert not [name for name in written if name.endswith(".partial")]
        if done.returncode:
            assert "space" in done.stderr
            assert (name in ("push", "pull", "train", "extract")) or not written
    finally:
        subprocess.run(["umount", str(disk)], check=True)
