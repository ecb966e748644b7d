"""The graph of a study's jobs: names, what each needs, and what a failure stops."""

import pytest

from repdrift.core.errors import UnknownNameError
from repdrift.study.config import parse_study
from repdrift.study.jobs.graph import StudyJob, study_graph
from repdrift.study.runs import planned_runs


def graph_of(**changes):
    study = parse_study(
        {
            "name": "s",
            "model": "m",
            "tasks": ["sst2", "rte"],
            "methods": ["full_finetune", "lora"],
            "seeds": [1, 2],
            **changes,
        },
        where="test",
    )
    return study_graph(study, planned_runs(study))


def test_every_job_comes_after_what_it_needs():
    graph = graph_of(tune={"trials": 2})
    seen = set()
    for job in graph:
        assert seen.issuperset(graph.needs[job.name]), job.name
        seen.add(job.name)
    assert len(graph) == 4 + 8 + 2 + 8 + 4 + 8 + 1 + 1


def test_names_are_readable_and_found_again():
    graph = graph_of()
    assert StudyJob("train", "sst2", "lora", 1).name == "train/sst2/lora/seed1"
    assert graph.job("control/rte/lora") == StudyJob("control", "rte", "lora")
    with pytest.raises(UnknownNameError, match="Did you mean 'train/sst2/lora/seed1'"):
        graph.job("train/sst2/lora/sed1")


def test_failure_stops_what_needs_it_and_nothing_else():
    graph = graph_of()
    stopped = graph.stopped_by(["train/sst2/lora/seed1"])
    assert stopped == {
        "extract/sst2/lora/seed1", "evaluate/sst2/lora/seed1", "control/sst2/lora", "analyze", "visualize",
    }  # fmt: skip


def test_a_study_without_controls_outcomes_or_tuning_has_no_jobs_for_them():
    graph = graph_of(extraction={"random_change": "none"}, outcomes=False)
    assert {job.kind for job in graph} == {"train", "base", "extract", "analyze", "visualize"}
    assert graph.needs["train/sst2/lora/seed1"] == ()


def test_ready_are_the_waiting_jobs_whose_needs_are_done():
    graph = graph_of()
    waiting = [job.name for job in graph]
    assert {job.kind for job in graph.ready(waiting, set())} == {"train", "base"}
    done = {"train/sst2/lora/seed1", "base/sst2"}
    assert "extract/sst2/lora/seed1" in {job.name for job in graph.ready(waiting, done)}
    assert "extract/sst2/lora/seed2" not in {job.name for job in graph.ready(waiting, done)}
