"""The driver: what is ready, what a failure stops, what is tried again, and how a study ends; with a launcher whose jobs end as told."""

import pytest

from repdrift.core.errors import UnfinishedStudyError
from repdrift.study.jobs import driver
from tests.unit.study.jobs.scripted_launcher import ScriptedLauncher, run_with

FAILED = "train/sst2/lora/seed1"
STOPPED = {"extract/sst2/lora/seed1", "evaluate/sst2/lora/seed1", "control/sst2/lora", "analyze", "visualize"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(driver, "_ASK_AGAIN_S", 0.0)


def test_every_job_is_run_once_and_after_its_needs(tmp_path):
    for slots in (1, 2, None):
        launcher = ScriptedLauncher(slots)
        run = run_with(launcher, tmp_path)
        run.complete()
        assert sorted(launcher.submitted) == sorted(job.name for job in run.graph)
        assert set(run.done) == set(launcher.submitted)
        assert launcher.is_shut
        if slots is not None:
            assert launcher.at_once <= slots
            for number, name in enumerate(launcher.submitted):
                assert set(run.graph.needs[name]) <= set(launcher.submitted[:number])


def test_one_process_goes_stage_by_stage(tmp_path, capsys):
    launcher = ScriptedLauncher(1)
    run_with(launcher, tmp_path).complete()
    kinds = list(dict.fromkeys(name.split("/")[0] for name in launcher.submitted))
    assert kinds == ["train", "base", "extract", "control", "evaluate", "analyze", "visualize"]
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if " of 5: " in line] == [
        "1 of 5: training", "2 of 5: extraction", "3 of 5: outcomes", "4 of 5: analysis", "5 of 5: figures",
    ]  # fmt: skip
    assert "[4/4] sst2, lora, seed 2: words of train/sst2/lora/seed2" in said


@pytest.mark.parametrize("slots", [1, 3, None])
def test_a_failure_stops_what_needs_it_and_nothing_else(tmp_path, slots):
    launcher = ScriptedLauncher(slots, {FAILED: ["failed"]})
    run = run_with(launcher, tmp_path)
    with pytest.raises(UnfinishedStudyError) as caught:
        run.complete()
    everything = {job.name for job in run.graph}
    assert set(run.done) == everything - STOPPED - {FAILED}
    text = str(caught.value)
    assert f"- {FAILED}: words of {FAILED}" in text
    assert "1 job of study s failed" in text
    assert f"{len(everything) - 6} of {len(everything)} are done" in text
    assert all(name in text for name in STOPPED)
    assert "run the same command again" in text
    if slots is None:
        assert set(launcher.cancelled) == STOPPED


def test_a_lost_job_is_run_again_three_times_at_most(tmp_path):
    launcher = ScriptedLauncher(2, {FAILED: ["lost", "lost", "done"], "base/sst2": ["lost"] * 5})
    run = run_with(launcher, tmp_path)
    with pytest.raises(UnfinishedStudyError, match="base/sst2"):
        run.complete()
    assert launcher.submitted.count(FAILED) == 3
    assert FAILED in run.done
    assert launcher.submitted.count("base/sst2") == 3


def test_a_job_of_another_process_comes_last_and_is_asked_for_again(tmp_path, capsys):
    launcher = ScriptedLauncher(1, {"train/sst2/full_finetune/seed1": ["busy", "busy", "busy", "busy", "done"]})
    run = run_with(launcher, tmp_path)
    run.complete()
    assert (
        launcher.submitted.index(FAILED)
        < [i for i, n in enumerate(launcher.submitted) if "full_finetune/seed1" in n][1]
    )
    assert capsys.readouterr().err.count("other jobs first") == 1
    assert len(run.done) == len(run.graph)


def test_a_whole_graph_is_given_at_once_in_order_and_what_was_not_ready_is_run_again(tmp_path):
    launcher = ScriptedLauncher(
        None, {"extract/sst2/lora/seed1": ["not_ready", "done"], "evaluate/sst2/lora/seed1": ["not_ready"]}
    )
    run = run_with(launcher, tmp_path)
    run.complete()
    assert launcher.submitted[: len(run.graph)] == [job.name for job in run.graph]
    assert launcher.submitted.count("extract/sst2/lora/seed1") == 2
    assert launcher.submitted.count("evaluate/sst2/lora/seed1") == 2


def test_a_job_that_never_finds_what_it_needs_fails(tmp_path):
    launcher = ScriptedLauncher(1, {"analyze": ["not_ready"] * 9})
    with pytest.raises(UnfinishedStudyError, match="- analyze: words of analyze"):
        run_with(launcher, tmp_path).complete()
    assert launcher.submitted.count("analyze") == driver.MOST_ATTEMPTS


def test_after_a_full_disk_nothing_more_is_begun_and_what_runs_is_waited_for(tmp_path):
    launcher = ScriptedLauncher(2, {"train/sst2/full_finetune/seed1": ["disk_full"]})
    run = run_with(launcher, tmp_path)
    with pytest.raises(UnfinishedStudyError, match="Not begun: .*base/sst2"):
        run.complete()
    assert set(launcher.submitted) == {"train/sst2/full_finetune/seed1", "train/sst2/full_finetune/seed2"}
    assert set(run.done) == {"train/sst2/full_finetune/seed2"}


def test_ctrl_c_shuts_the_launcher_down_and_says_what_is_done(tmp_path, capsys):
    launcher = ScriptedLauncher(2, interrupt_at="base/sst2")
    run = run_with(launcher, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run.complete()
    assert launcher.is_shut
    assert f"stopped: {len(run.done)} of {len(run.graph)} jobs are done and kept" in capsys.readouterr().err


def test_finished_jobs_are_left_out(tmp_path):
    launcher = ScriptedLauncher(None)
    finished = {"train/sst2/lora/seed1", "train/sst2/lora/seed2", "base/sst2"}
    run_with(launcher, tmp_path, finished).complete()
    assert not finished & set(launcher.submitted)


def test_the_last_lines_of_a_failed_jobs_log_stand_in_the_message(tmp_path):
    log = tmp_path / "jobs" / f"{FAILED}.log"
    log.parent.mkdir(parents=True)
    log.write_text("first\n\n" + "".join(f"line {i}\n" for i in range(20)))
    with pytest.raises(UnfinishedStudyError) as caught:
        run_with(ScriptedLauncher(1, {FAILED: ["failed"]}), tmp_path).complete()
    assert "line 19" in str(caught.value)
    assert "line 5\n" not in str(caught.value)
    assert str(log) in str(caught.value)
