"""The launcher of job arrays against a stand-in of Slurm's commands: what is submitted, what it makes of every state, and a second start."""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from repdrift.core.errors import ConfigError, UnfinishedStudyError
from repdrift.study.jobs.driver import StudyRun
from repdrift.study.jobs.launcher import StartedJob
from repdrift.study.jobs.launchers.slurm_arrays import SlurmArrays
from repdrift.study.jobs.slurm.array_files import submitted_arrays
from repdrift.study.jobs.slurm.options import SlurmOptions
from tests.unit.study.jobs.launchers.fake_slurm import FakeSlurm
from tests.unit.study.jobs.launchers.slurm_study import ANALYZE, BASE, EXTRACTS, GRAPH, TRAINS, end, news, setting

pytest.importorskip("submitit", reason="submitit is not installed (the extra `slurm`)")

GOLDEN = Path(__file__).with_name("golden_array.sh")
OPTIONS = SlurmOptions.model_validate(
    {"partition": "gpu", "account": "my lab", "gpus": "1", "time": "01:30:00", "setup": "module load cuda/12; ulimit -c 0", "sbatch.nice": "100",
     "sbatch.exclusive": ""}
)  # fmt: skip


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Slurm's commands on the PATH."""
    fake = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    return fake


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _s: None)


def started(folder, options=None, **changed):
    launch = setting(folder, **changed)
    return launch, SlurmArrays(launch, options or SlurmOptions())


def begun(folder, options=None, **changed):
    launch, launcher = started(folder, options, **changed)
    launcher.begin()
    return launch, launcher


@pytest.fixture
def whole(tmp_path, slurm):
    """A study of which every job was submitted, with its arrays: 101 train, 102 base, 103 extract, 104 analyze."""
    launch, launcher = begun(tmp_path)
    launcher.submit(list(GRAPH))
    return launch, launcher


def files_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _dependency(slurm, array):
    found = re.search(r"--dependency=(\S+)", slurm.script(array))
    return None if found is None else found[1]


def test_every_stage_is_one_array_after_the_arrays_that_it_reads_from(whole, slurm):
    assert slurm.arrays() == ["101", "102", "103", "104"]
    assert [_dependency(slurm, array) for array in slurm.arrays()] == [
        None, None, "afterany:101:102", "afterany:102:103",
    ]  # fmt: skip
    assert "--array=0-1%2" in slurm.script("101")
    assert "--array" not in slurm.script("104"), "a stage of one job is a plain job"
    assert set(slurm.states()) == {"101_0", "101_1", "102", "103_0", "103_1", "104"}


def test_a_study_of_which_one_job_fails_stops_what_needs_it_and_nothing_else(tmp_path, slurm, monkeypatch):
    launch, launcher = started(tmp_path)
    study, told = StudyRun(launch, launcher), []

    def cluster(_s):  # each job ends when the driver has nothing to do: the first training fails
        launcher._ask_at = 0.0
        of_array = {each.job: array.array for array in submitted_arrays(launch.folder) for each in array.elements}
        waiting = [job.name for job in GRAPH if job.name in launcher._open]
        if waiting and of_array:
            told.append(waiting[0])
            failed = waiting[0] == TRAINS[0].name
            end(launch, waiting[0], int(failed), f"{waiting[0]}: failed: no such model" if failed else "")

    monkeypatch.setattr(time, "sleep", cluster)
    with pytest.raises(UnfinishedStudyError, match=r"1 job of study tiny study failed, and 3 of 6 are done"):
        study.complete()
    assert list(dict.fromkeys(told)) == [TRAINS[0].name, TRAINS[1].name, BASE.name, EXTRACTS[1].name]
    assert [name for name, state in slurm.states().items() if state == "CANCELLED"] == ["103_0", "104"]
    assert len(slurm.arrays()) == 4, "nothing is submitted again"


def test_the_batch_script_is_the_golden_one(tmp_path, slurm):
    _, launcher = started(tmp_path, OPTIONS, threads=4)
    launcher.submit(TRAINS)
    text = slurm.script("101").replace(str(tmp_path), "STUDY").replace(sys.executable, "PYTHON")
    assert text.rstrip() + "\n" == GOLDEN.read_text()


def test_a_job_without_a_model_asks_for_no_gpu_and_the_next_array_keeps_nothing_of_the_last(tmp_path, slurm):
    _, launcher = started(tmp_path, OPTIONS)
    launcher.submit(list(GRAPH))
    assert "--gpus-per-node=1" in slurm.script("103")
    assert "--gpus-per-node" not in slurm.script("104")
    assert "--mem=7GB" in slurm.script("101"), "one and a half times the account of 3 GB, and 2 GB for the libraries"
    assert "--mem" not in slurm.script("102"), "where no account says it, it is Slurm's"


@pytest.mark.parametrize(
    ("exit_code", "printed", "ending", "words"),
    [
        (0, "repdrift notes\ntrain/sst2/lora/seed1: done: accuracy 0.9\n", "done", "accuracy 0.9"),
        (1, "train/sst2/lora/seed1: failed: the loss is not finite\n", "failed", "the loss is not finite"),
        (1, "repdrift: error: this machine has other libraries\n", "failed", "this machine has other libraries"),
        (
            1,
            "Traceback (most recent call last):\n  File x\nKeyError: 'layer'\n",
            "failed",
            "a defect of repdrift (KeyError: 'layer'); the log has where",
        ),
        (5, "train/sst2/lora/seed1: not ready: tune/sst2/lora not done\n", "not_ready", "tune/sst2/lora not done"),
        (6, "train/sst2/lora/seed1: busy: process 3 on a is at it\n", "busy", "process 3 on a is at it"),
        (7, "train/sst2/lora/seed1: disk full: no space\n", "disk_full", "no space"),
    ],
)
def test_an_ending_that_the_element_wrote_is_told_without_asking_slurm(whole, slurm, exit_code, printed, ending, words):
    launch, launcher = whole
    slurm.refuse("squeue", "slurm_load_jobs error: Unable to contact slurm controller")
    end(launch, TRAINS[1].name, exit_code, printed)
    (told,) = launcher.reports(0.0)
    assert (told.job, told.ending, told.words, told.where) == (TRAINS[1].name, ending, words, "node7")


@pytest.mark.parametrize(
    ("state", "exit_code", "ending", "words"),
    [
        ("OUT_OF_MEMORY", "0:125", "failed", "want of memory; it had asked for 11 GB"),
        ("CANCELLED", "0:15", "failed", "cancelled in Slurm"),
        ("DEADLINE", "0:0", "failed", "deadline"),
        ("TIMEOUT", "0:0", "lost", "time limit of 240 minutes"),
        ("NODE_FAIL", "0:0", "lost", "its node failed"),
        ("PREEMPTED", "0:0", "lost", "preempted"),
        ("FAILED", "0:9", "lost", "signal 9"),
        ("FAILED", "130:0", "lost", "code 130"),
        ("FAILED", "7:0", "disk_full", "code 7"),
        ("COMPLETED", "0:0", "done", "code 0"),
    ],
)
def test_an_element_without_an_ending_is_told_by_slurms_state(whole, slurm, state, exit_code, ending, words):
    _, launcher = whole
    slurm.put("101_1", state, exit_code=exit_code)
    (told,) = news(launcher)
    assert (told.job, told.ending, told.where) == (TRAINS[1].name, ending, "node7")
    assert words in told.words


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED", "A_STATE_OF_TOMORROW"])
def test_what_is_queued_or_runs_is_waited_for(whole, slurm, state):
    _, launcher = whole
    slurm.put("101_0", state)
    assert [each for each in news(launcher) if not isinstance(each, StartedJob)] == []


def test_a_job_that_begins_is_told_once_with_its_node(whole, slurm):
    _, launcher = whole
    slurm.put("101_0", "RUNNING")
    assert news(launcher) == [StartedJob(TRAINS[0].name, "node7")]


def test_a_requeued_job_that_is_over_for_a_moment_is_not_lost(whole, slurm):
    _, launcher = whole
    slurm.put("101_0", "PREEMPTED")
    assert news(launcher, 1) == []
    slurm.put("101_0", "PENDING")
    assert news(launcher) == []


def test_squeue_that_forgot_a_job_is_made_up_for_by_sacct(whole, slurm):
    _, launcher = whole
    slurm.put("102", "OUT_OF_MEMORY")
    slurm.forget("102")
    (told,) = news(launcher)
    assert (told.job, told.ending) == (BASE.name, "failed")


def test_without_accounting_a_job_that_is_gone_without_a_word_is_lost(whole, slurm):
    _, launcher = whole
    slurm.refuse("sacct", "Slurm accounting storage is disabled")
    slurm.put("102", "OUT_OF_MEMORY")
    slurm.forget("102")
    (told,) = news(launcher)
    assert (told.job, told.ending) == (BASE.name, "lost")
    assert "does not know it any more" in told.words


def test_an_account_that_lags_does_not_bring_a_job_back(whole, slurm):
    _, launcher = whole
    slurm.put("102", "RUNNING")  # so sacct has it, after squeue forgot it
    slurm.forget("102")
    assert [each.ending for each in news(launcher)] == ["lost"]


def test_slurm_that_does_not_answer_for_a_while_loses_no_job(whole, slurm, capsys):
    _, launcher = whole
    slurm.put("101_0", "NODE_FAIL")
    slurm.refuse("squeue", "slurm_load_jobs error: Unable to contact slurm controller")
    assert news(launcher, 5) == []
    slurm.answer("squeue")
    assert [each.ending for each in news(launcher)] == ["lost"]
    said = capsys.readouterr().err
    assert said.count("does not answer for now") == 1
    assert "Slurm answers again" in said


def test_a_job_that_was_lost_waits_for_nothing_and_what_needs_it_waits_for_its_new_array(whole, slurm):
    launch, launcher = whole
    for job in (TRAINS[0], BASE):
        end(launch, job.name, 0)
    slurm.put("101_1", "NODE_FAIL")
    end(launch, EXTRACTS[1].name, 5, "not done")
    assert {each.ending for each in news(launcher)} == {"done", "lost", "not_ready"}
    launcher.submit([TRAINS[1]])
    launcher.submit([EXTRACTS[1]])
    assert slurm.arrays()[-2:] == ["105", "106"]
    assert [_dependency(slurm, array) for array in ("105", "106")] == [None, "afterany:105"]


def test_a_job_that_another_process_is_at_comes_again_later(whole, slurm):
    launch, launcher = whole
    end(launch, BASE.name, 6, "at it")
    assert [each.ending for each in news(launcher)] == ["busy"]
    launcher.submit([BASE])
    assert "--begin=now+300" in slurm.script("105")
    assert "--begin" not in slurm.script("102")


def test_cancelled_jobs_leave_the_queue_and_the_others_stay(whole, slurm):
    _, launcher = whole
    launcher.cancel([EXTRACTS[0].name, ANALYZE.name, "no such job"])
    assert [name for name, state in slurm.states().items() if state == "CANCELLED"] == ["103_0", "104"]
    assert news(launcher) == []


def test_a_driver_that_ends_leaves_its_jobs_and_the_next_one_submits_only_the_rest(whole, slurm, tmp_path, capsys):
    launch, launcher = whole
    slurm.put("101_0", "RUNNING")
    end(launch, BASE.name, 0)
    slurm.put("103_1", "CANCELLED")
    launcher.shut_down()
    assert "`scancel 101 102 103 104` cancels them" in capsys.readouterr().err
    assert slurm.calls("scancel") == []
    again, second = begun(tmp_path)
    assert "4 jobs of an earlier start taken up (1 running, 3 queued)" in capsys.readouterr().err
    second.submit([job for job in GRAPH if job is not BASE])  # the driver knows by its outputs that it is done
    assert slurm.arrays()[4:] == ["105"], "only the job that was cancelled"
    assert _dependency(slurm, "105") == "afterany:101"
    end(again, TRAINS[1].name, 0)
    assert [each.job for each in second.reports(0.0)] == [TRAINS[1].name]


def test_ctrl_c_cancels_where_the_option_says_so(tmp_path, slurm):
    launch, launcher = begun(tmp_path, SlurmOptions(on_ctrl_c="cancel"))
    launcher.submit(list(GRAPH))
    launcher.shut_down()
    assert set(slurm.states().values()) == {"CANCELLED"}
    assert not list(submitted_arrays(launch.folder)), "and nothing is taken up later"


def test_records_of_arrays_that_are_over_are_taken_away_with_their_pickles(whole, tmp_path):
    launch, launcher = whole
    assert len(list((launch.folder / "slurm/submitit").glob("*.pkl"))) == 6
    for job in GRAPH:
        end(launch, job.name, 0)
    assert len(news(launcher, 1)) == 6
    assert not list(submitted_arrays(launch.folder))
    assert not list((launch.folder / "slurm/submitit").glob("*.pkl"))
    assert not list((launch.folder / "slurm/endings").glob("*.json"))


def test_a_record_that_was_changed_is_passed_over_with_a_word(whole, slurm, tmp_path, capsys):
    launch, _ = whole
    path = launch.folder / "slurm/arrays/101.json"
    path.write_text(path.read_text().replace('"101"', '"999"'))
    started(tmp_path)
    said = capsys.readouterr().err
    assert "101.json was changed or damaged" in said
    assert "4 jobs of an earlier start taken up" in said


def test_silence_at_the_start_submits_nothing_twice(whole, slurm, tmp_path):
    slurm.refuse("squeue", "slurm_load_jobs error: Unable to contact slurm controller")
    with pytest.raises(ConfigError, match=r"6 jobs of this study were submitted before: nothing is submitted"):
        started(tmp_path)


def test_a_start_that_is_refused_for_a_running_job_of_another_configuration_changes_nothing(whole, slurm, tmp_path):
    launch, _ = whole
    slurm.put("101_0", "RUNNING")
    slurm.put("102", "COMPLETED")
    slurm.forget("102")
    before = slurm.states(), files_of(launch.folder)
    with pytest.raises(
        ConfigError, match=r"1 job of this study run in Slurm with another configuration \(101_0\).*Nothing was changed"
    ):
        started(tmp_path, digest="d2")
    assert (slurm.states(), files_of(launch.folder)) == before


def test_queued_jobs_of_another_configuration_are_cancelled_when_the_new_plan_stands(whole, slurm, tmp_path, capsys):
    launch, _ = whole
    before = slurm.states(), files_of(launch.folder)
    _, second = started(tmp_path, digest="d2")
    second.shut_down()
    assert (slurm.states(), files_of(launch.folder)) == before, "it was not begun"
    second.begin()
    assert set(slurm.states().values()) == {"CANCELLED"}
    assert "6 queued jobs of an earlier configuration" in capsys.readouterr().err
    assert not list(submitted_arrays(launch.folder))


def test_a_start_that_was_not_begun_leaves_what_it_took_up_also_where_ctrl_c_cancels(whole, slurm, tmp_path):
    _, second = started(tmp_path, SlurmOptions(on_ctrl_c="cancel"))
    second.shut_down()
    assert slurm.calls("scancel") == []


def test_an_array_that_sbatch_refuses_is_an_error_in_its_words(tmp_path, slurm, capfd):
    _, launcher = started(tmp_path)
    slurm.refuse("sbatch", "sbatch: error: invalid partition specified: gpuu")
    with pytest.raises(
        ConfigError, match=r"did not take the array of 2 train jobs: .*invalid partition specified: gpuu"
    ):
        launcher.submit(TRAINS)
    assert len(slurm.calls("sbatch")) == 1, "it would be refused again"


def test_a_controller_that_is_busy_is_asked_again(tmp_path, slurm, capfd):
    _, launcher = started(tmp_path)
    slurm.refuse(
        "sbatch", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", times=2
    )
    launcher.submit(TRAINS)
    assert slurm.arrays() == ["101"]
    assert "it is asked again in 10 s (3 of 3)" in capfd.readouterr().err


def test_a_machine_without_slurm_is_told_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"has no sbatch, srun, squeue, scancel on its PATH.*login node.*--launcher local"
    ):
        started(tmp_path)


def test_a_results_path_that_slurm_would_read_as_a_pattern_is_refused(tmp_path, slurm):
    (tmp_path / "50%j").mkdir()
    with pytest.raises(ConfigError, match=r"as a pattern.*50%j"):
        started(tmp_path / "50%j")
