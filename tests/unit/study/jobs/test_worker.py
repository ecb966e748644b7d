"""A process that runs jobs of a plan file: what it refuses, and how it tells how a job ended."""

import json

import pytest

from repdrift.core.errors import ConfigError, DataError, StorageError, UnknownNameError
from repdrift.study.config import parse_study
from repdrift.study.jobs import worker
from repdrift.study.jobs.job_command import job_command
from repdrift.study.jobs.job_state import JobState, log_file, state_file
from repdrift.study.jobs.launcher import JobReport
from repdrift.study.jobs.plan_file import make_plan, read_plan, write_plan
from repdrift.study.jobs.report_line import line_of, report_of_line
from repdrift.study.jobs.worker import EXIT_CODES, PlannedStudy, ending_of
from tests.command_line import run_here


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """The plan file of a study of which nothing is done."""
    monkeypatch.chdir(tmp_path)

    def write(**changes):
        content = {
            "name": "s",
            "model": "m",
            "tasks": ["sst2"],
            "methods": ["lora"],
            "seeds": [1],
            "results_dir": "results",
            **changes,
        }
        plan = make_plan(parse_study(content, where="test"), None, None)
        return write_plan(plan, tmp_path / "results/jobs", exact=True)

    return write


def test_a_plan_is_read_back_as_it_was_and_never_replaced_by_another(planned):
    first = planned(training={"all": {"learning_rate": 0.1 + 0.2}}, tune=False, general_text=False)
    second = planned(seeds=[2])
    assert first != second
    plan = read_plan(first)
    assert plan.study_config().training_options("sst2", "lora").learning_rate == 0.1 + 0.2
    assert plan.study_config().general_text is None
    assert plan.study_config().tune is None
    assert read_plan(first.parent.parent / "plan.json").digest == read_plan(second).digest != plan.digest


def test_a_job_whose_needs_are_not_done_is_not_ready(planned, tmp_path):
    plan = planned()
    report = PlannedStudy(plan).run("evaluate/sst2/lora/seed1", "test")
    assert (report.ending, report.words) == ("not_ready", "extract/sst2/lora/seed1 not done")
    done = run_here(f"python -m repdrift job {plan} evaluate/sst2/lora/seed1", tmp_path, fails=True)
    assert done.returncode == EXIT_CODES["not_ready"] == 5


def test_a_need_that_ended_as_done_and_whose_files_are_gone_is_named(planned, tmp_path):
    plan = planned()
    extract = "extract/sst2/lora/seed1"
    state = JobState(
        job=extract, plan=read_plan(plan).digest, host="h", pid=1, launcher="test", attempt=1, outcome="done", words="1 set", started="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    path = state_file(tmp_path / "results/jobs", extract)
    path.parent.mkdir(parents=True)
    state.write(path)
    report = PlannedStudy(plan).run("evaluate/sst2/lora/seed1", "test")
    assert report.ending == "not_ready"
    assert report.words.startswith(
        f"{extract} not done: {extract} ended as done, and its files are not those that the study asks for."
    )


def test_a_job_of_an_earlier_plan_is_not_run(planned, tmp_path):
    earlier = planned()
    planned(training={"all": {"epochs": 9}})
    report = PlannedStudy(earlier).run("train/sst2/lora/seed1", "test")
    assert report.ending == "failed"
    assert "started with another configuration" in report.words
    assert not log_file(tmp_path / "results/jobs", "train/sst2/lora/seed1").exists()


def test_what_fails_is_in_the_log_and_in_the_exit_code(planned, tmp_path):
    plan = planned()
    done = run_here(f"python -m repdrift job {plan} train/sst2/lora/seed1", tmp_path, fails=True)
    assert done.returncode == 1
    assert "train/sst2/lora/seed1: failed: " in done.stderr
    state = json.loads((tmp_path / "results/jobs/train/sst2/lora/seed1.json").read_text())
    assert (state["outcome"], state["launcher"]) == ("failed", "by hand")
    assert state["words"] in " ".join(done.stderr.split())


def test_other_libraries_are_refused(planned, monkeypatch):
    plan = planned()
    monkeypatch.setattr(worker, "library_versions", lambda: {"repdrift": "9"})
    with pytest.raises(ConfigError, match="other libraries .*repdrift 9 instead of .*torch absent instead of"):
        PlannedStudy(plan)


def test_a_folder_that_is_not_on_this_machine_is_refused(planned, tmp_path):
    plan = planned()
    moved = read_plan(plan).model_copy(update={"working_folder": str(tmp_path / "gone")})
    moved.write(plan)
    with pytest.raises(StorageError, match="gone, is not on this machine"):
        PlannedStudy(plan)


def test_a_job_that_the_plan_has_not_and_a_plan_that_is_not_there(planned, tmp_path):
    plan = planned()
    with pytest.raises(UnknownNameError, match="Did you mean 'train/sst2/lora/seed1'"):
        PlannedStudy(plan).run("train/sst2/lora/seed3", "test")
    with pytest.raises(DataError, match="does not exist"):
        PlannedStudy(tmp_path / "no.json")
    plan.write_text(plan.read_text().replace("sst2", "rte "))
    with pytest.raises(DataError, match="changed or damaged"):
        PlannedStudy(plan)


def test_a_secret_is_in_no_plan(planned):
    with pytest.raises(ConfigError, match="--jobs 1"):
        planned(model="https://user:Gb7xxQ2pLm9w@host/model")


def test_the_command_line_asks_for_one_job_or_for_names_on_its_input(planned, tmp_path):
    plan = planned()
    said = run_here(f"python -m repdrift job {plan}", tmp_path, fails=True).stderr
    assert "give the name of a job, or --from-input" in said
    assert job_command(plan, "analyze")[-4:] == ["repdrift", "job", str(plan), "analyze"]


def test_exit_codes_and_lines_tell_every_ending():
    assert {ending_of(code) for code in EXIT_CODES.values()} == set(EXIT_CODES)
    assert ending_of(-9) == ending_of(137) == ending_of(2) == "lost"
    for ending in EXIT_CODES:
        report = JobReport("train/a", ending, "words\nof two lines \u2026", seconds=1.5)
        assert report_of_line(line_of(report) + "\n") == report
        assert "\n" not in line_of(report)
    for line in (
        "",
        "loading",
        "repdrift-job-report {",
        'repdrift-job-report {"job": 1}',
        'repdrift-job-report {"job": "a", "ending": "x", "words": ""}',
    ):
        assert report_of_line(line) is None
