"""A study of a decoder with attention sinks: every set leaves out the base model's, and the summary says so."""

import json

import pytest

from repdrift.core.records.representation_set import SINK_POOLING, SetMetadata
from repdrift.study.config import load_study
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.finished import FinishedJobs
from repdrift.study.jobs.plan_file import make_plan
from tests.command_line import run_here
from tests.planted_sinks import save_with_sinks

STUDY = """
name: tiny
model: base
data_dir: {data}
tasks: [sst2]
methods: [full_finetune, lora]
seeds: [1]
training:
  all: {{epochs: 1, batch_size: 8, max_length: 32, learning_rate: 0.01, checkpoint_every: 2}}
analysis: {{replicates: 0}}
"""


@pytest.fixture(scope="module")
def extracted(tiny_llama, tiny_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    save_with_sinks(tiny_llama, folder / "base")
    (folder / "tiny.yaml").write_text(STUDY.format(data=tiny_data), encoding="utf-8")
    run_here("python -m repdrift train --config tiny.yaml", folder)
    # The base model and full fine-tuning first; LoRA by a command of its own, which takes the sinks from the disk.
    run_here("python -m repdrift extract --config tiny.yaml --method full_finetune --checkpoint all", folder)
    run_here("python -m repdrift extract --config tiny.yaml --method lora", folder)
    return folder


def test_every_set_of_the_study_has_the_mask_of_the_base_model(extracted):
    sets = {path: SetMetadata.read(path) for path in extracted.rglob("metadata.json")}
    methods = [found.method for found in sets.values()]
    assert methods.count("base") == 2
    assert methods.count("random_change") == 2
    assert methods.count("full_finetune") >= 2
    assert methods.count("lora") == 1
    masks = [found.sinks for found in sets.values()]
    assert masks[0] is not None
    assert masks[0].sinks > 0
    assert all(mask == masks[0] for mask in masks)
    assert {found.pooling for found in sets.values()} == {SINK_POOLING}
    again = run_here("python -m repdrift extract --config tiny.yaml --json", extracted)
    assert not any(entry["extracted_now"] for entry in json.loads(again.stdout))


def test_what_is_extracted_counts_as_done_for_the_jobs_that_need_it(extracted, monkeypatch):
    monkeypatch.chdir(extracted)
    study = load_study("tiny.yaml")
    plan = make_plan(study, "tiny.yaml", None)
    finished = FinishedJobs(StudyInputs(study, "tiny.yaml"), plan)
    kinds = {job.name: job.kind for job in plan.graph(study) if finished.is_done(job)}
    assert kinds["base/sst2"] == "base"
    assert kinds["extract/sst2/full_finetune/seed1"] == "extract"
    assert "extract/sst2/lora/seed1" not in kinds, "its checkpoints are wanted too"
    assert sorted(kinds.values()).count("control") == 2


def test_the_summary_says_what_is_left_out(extracted):
    run_here("python -m repdrift analyze --config tiny.yaml", extracted)
    summary = next(extracted.rglob("drift_analysis_summary.md")).read_text(encoding="utf-8")
    results = json.loads(next(extracted.rglob("drift_analysis_results.json")).read_text(encoding="utf-8"))
    left_out = results["study"]["sinks"]["sst2"]["sinks"]
    assert left_out > 0
    assert f"SST-2: The mean leaves out {left_out} of" in summary
