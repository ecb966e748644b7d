"""The question which jobs of a study are done: what it reads, however many runs there are."""

import time

import pytest
from benchmarks.jobs.finished_runs import SEEDS, TASKS, study_of, write_run, write_study

from repdrift.core.records.run import RunRecord
from repdrift.core.records.tuning import TuningRecord
from repdrift.study.jobs.finished import FinishedJobs
from repdrift.study.jobs.job_status import study_standing
from repdrift.study.jobs.plan_file import make_plan
from repdrift.study.runs import RunId
from repdrift.study.status import study_status


@pytest.fixture
def written(tmp_path, tiny_bert):
    """A tuned study of 40 finished runs, of which nothing is extracted."""
    inputs = write_study(study_of(tmp_path, tiny_bert, 2))
    time.sleep(0.12)
    return inputs


@pytest.fixture
def reads(monkeypatch):
    """How often records of runs and of choices were read from the disk, by their kind."""
    found = dict.fromkeys((RunRecord, TuningRecord), 0)
    for kind in found:

        def counted(path, kind=kind, read=kind.read):
            found[kind] += 1
            return read(path)

        monkeypatch.setattr(kind, "read", counted)
    return found


def test_every_record_is_read_once_by_status_and_by_the_question_for_all_jobs(written, reads):
    plan = make_plan(written.config, None, None)
    graph = plan.graph(written.config)
    for _ in range(2):
        progress = study_status(written.config)
        assert all(each.trained for each in progress)
        assert len(study_standing(written.config, None, progress).of("done")) == len(TASKS) * 2 * (1 + len(SEEDS))
    done = FinishedJobs(written, plan).all_of(graph)
    assert {name.split("/")[0] for name in done} == {"tune", "train"}
    assert reads[RunRecord] == 40
    assert reads[TuningRecord] <= 8, "some were read and kept while the study was written"


def test_a_run_that_is_replaced_meanwhile_is_read_anew_and_alone(written, reads):
    plan, run = make_plan(written.config, None, None), RunId("rte", "lora_r1", 23)
    graph = plan.graph(written.config)
    finished = FinishedJobs(written, plan)
    assert "train/rte/lora_r1/seed23" in finished.all_of(graph)
    (folder,) = [
        each.folder
        for each in written.finished_runs()
        if (each.record.task, each.record.method, each.record.seed) == (run.task, run.method, run.seed)
    ]
    write_run(written, RunId("rte", "lora_r1", 24), folder)
    read_before = dict(reads)
    assert "train/rte/lora_r1/seed23" not in finished.all_of(graph)
    assert reads[RunRecord] - read_before[RunRecord] == 1
    write_run(written, run, folder.with_name("again"))
    assert "train/rte/lora_r1/seed23" in finished.all_of(graph)
