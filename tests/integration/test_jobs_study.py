"""A whole study by both launchers of this machine: the same bytes, though a worker is killed; and what a changed option makes anew."""

import json
import os
import shutil
import signal
import threading
import time

import pytest

from repdrift.study.config import load_study
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.finished import FinishedJobs
from repdrift.study.jobs.plan_file import make_plan
from tests.command_line import run_here
from tests.same_studies import differences

COMMAND = "python -m repdrift run study.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_bert, tiny_data):
    """A folder with a study of one task, two methods and two seeds, run in one process."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(tiny_bert, folder / "bert")
    shutil.copytree(tiny_data, folder / "data")
    (folder / "study.yaml").write_text(
        "name: tiny\nmodel: ./bert\ndata_dir: data\ntasks: [sst2]\nmethods: [full_finetune, lora]\nseeds: [1, 2]\n"
        "training:\n  all: {epochs: 1, batch_size: 8, max_length: 32, checkpoint_every: 2, learning_rate: 0.01}\n"
        "analysis: {replicates: 400}\nresults_dir: results\nbase_dir: base\n"
    )
    done = run_here(f"{COMMAND} --threads 1", folder)
    assert "train/sst2" not in done.stderr, "one process says runs in words"
    return folder


@pytest.fixture
def killer():
    """Kills the first process that says in its state that it is at a training, once."""
    killed = []

    def kill_one(folder):
        def watch():
            for _ in range(2000):
                for path in (folder / "results/jobs/train").rglob("*.json"):
                    try:
                        state = json.loads(path.read_text())
                    except ValueError:
                        continue
                    if state["outcome"] == "running":
                        os.kill(state["pid"], signal.SIGKILL)
                        killed.append(state["job"])
                        return
                time.sleep(0.02)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        return killed

    return kill_one


@pytest.mark.timeout(1200)  # processes that import torch, beside whatever else this machine does
def test_two_processes_of_which_one_is_killed_give_the_bytes_of_one(finished, tmp_path, killer):
    for name in ("bert", "data"):
        shutil.copytree(finished / name, tmp_path / name)
    shutil.copy(finished / "study.yaml", tmp_path)
    killed = killer(tmp_path)
    done = run_here(f"{COMMAND} --jobs 2 --threads 1", tmp_path)
    (job,) = killed
    assert f"{job}: lost: its process was ended by signal 9" in done.stderr
    assert f"{job}: lost" in done.stderr
    assert "it is run again (2 of 3)" in done.stderr
    state = json.loads((tmp_path / f"results/jobs/{job}.json").read_text())
    assert (state["outcome"], state["attempt"]) == ("done", 2)
    assert differences(finished / "results", tmp_path / "results") == []
    assert differences(finished / "base", tmp_path / "base") == []
    assert done.stdout.replace(str(tmp_path), "") != ""


def test_a_finished_study_is_left_as_it_is(finished):
    before = {
        p: p.stat().st_mtime_ns
        for p in finished.rglob("*")
        if p.is_file() and "jobs" not in p.parts and p.name != "journal.jsonl"
    }
    said = run_here(COMMAND, finished).stderr
    after = {
        p: p.stat().st_mtime_ns
        for p in finished.rglob("*")
        if p.is_file() and "jobs" not in p.parts and p.name != "journal.jsonl"
    }
    assert before == after
    assert "already there: results/drift_analysis" in said
    locks = [path.name for path in (finished / "results/jobs").rglob("*.lock")]
    assert locks == [".guard.lock"], "claims are taken away"


@pytest.mark.parametrize(
    ("override", "made_anew"),
    [
        ("name=tiny", set()),
        ("extraction.token_budget=512", {"analyze", "visualize"}),
        ("analysis.replicates=500", {"analyze", "visualize"}),
        (
            "training.methods.lora.epochs=2",
            {"train/sst2/lora/seed1", "train/sst2/lora/seed2", "extract/sst2/lora/seed1", "extract/sst2/lora/seed2", "evaluate/sst2/lora/seed1",
             "evaluate/sst2/lora/seed2", "control/sst2/lora", "analyze", "visualize"},
        ),
        (
            "extraction.samples=10",
            {"base/sst2", *(f"{k}/sst2/{m}/seed{s}" for k in ("extract", "evaluate") for m in ("lora", "full_finetune") for s in (1, 2)),
             "control/sst2/lora", "control/sst2/full_finetune", "analyze", "visualize"},
        ),
        ("outcomes={outputs: false}", {"analyze", "visualize"}),
        ("seeds=[1,2,3]", {f"{k}/sst2/{m}/seed3" for k in ("train", "extract", "evaluate") for m in ("lora", "full_finetune")}
         | {"analyze", "visualize", "control/sst2/lora", "control/sst2/full_finetune"}),
    ],
)  # fmt: skip
def test_a_changed_option_makes_anew_what_depends_on_it(finished, monkeypatch, override, made_anew):
    monkeypatch.chdir(finished)
    study = load_study("study.yaml", [override])
    inputs, plan = StudyInputs(study, "study.yaml"), make_plan(study, "study.yaml", None)
    graph = plan.graph(study)
    assert {job.name for job in graph} - FinishedJobs(inputs, plan).all_of(graph) == made_anew
