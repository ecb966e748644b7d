"""A study that hides its texts, from training to the archive that is shared: no row of its data stands in any file."""

import json
import zipfile

import pandas as pd
import pytest
import yaml

import repdrift
from repdrift.core.records.export import FINGERPRINTS_FILE, MANIFEST_FILE, StudyFingerprints
from repdrift.core.records.run import RunRecord
from repdrift.study.config import load_study
from tests.command_line import run_here

STUDY = """
name: hidden
model: {model}
data_dir: {data}
tasks: [sst2]
seeds: [1]
training:
  all: {{epochs: 1, batch_size: 8, max_length: 32, learning_rate: 0.01}}
extraction: {{pooling: mean_without_sinks}}
analysis: {{replicates: 0, sample_texts: {texts}}}
"""
TABLES = (".parquet", ".pt", ".safetensors", ".npz")


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_bert, tiny_data):
    root = tmp_path_factory.mktemp("hidden")
    (root / "study.yaml").write_text(STUDY.format(model=tiny_bert, data=tiny_data, texts="false"))
    said = [
        run_here(f"python -m repdrift {stage} --config study.yaml", root)
        for stage in ("train", "extract", "evaluate", "analyze")
    ]
    (root / "said.txt").write_text("".join(done.stdout + done.stderr for done in said))
    run_here("python -m repdrift export study.yaml out.zip", root)
    return root


@pytest.fixture(scope="module")
def quoted(tiny_data):
    """Pieces of every row, as notes quote them."""
    found = set()
    for path in sorted((tiny_data / "sst2").iterdir()):
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_json(path, lines=True)
        found |= {text[:14] for text in rows["sentence"] if len(text) >= 14}
    assert len(found) > 10
    return found


def _holding(text, pieces):
    return [piece for piece in pieces if piece in text]


def test_no_record_log_or_journal_of_the_study_quotes_a_row(study, quoted):
    read = [p for p in study.rglob("*") if p.is_file() and p.suffix in (".json", ".jsonl", ".txt", ".md", ".csv")]
    assert {"run.json", "metadata.json", "said.txt", "journal.jsonl"} <= {path.name for path in read}
    models = [p for p in read if "final_model" in p.parts]
    for path in set(read) - set(models):
        assert _holding(path.read_text(encoding="utf-8"), quoted) == [], path
    (base,) = study.glob("base_representations/sst2/step_000000/metadata.json")
    sinks = json.loads(base.read_text())["sinks"]
    assert [count["text"] for count in sinks["most_common"]] == [None] * len(sinks["most_common"])
    assert "the first is" not in base.read_text()


def test_the_same_study_with_texts_quotes_rows_so_that_the_check_can_fail(study, quoted, tiny_bert, tiny_data):
    from repdrift.study.inputs import StudyInputs

    (study / "shown.yaml").write_text(STUDY.format(model=tiny_bert, data=tiny_data, texts="true"))
    shown, hidden = (StudyInputs(load_study(study / name)) for name in ("shown.yaml", "study.yaml"))
    assert _holding(" ".join(shown.sample_set("sst2").notes), quoted)
    assert not _holding(" ".join(hidden.sample_set("sst2").notes), quoted)
    run = next(iter(hidden_runs(hidden.config)))
    assert shown.training_job(run).key() == hidden.training_job(run).key()
    assert shown.sample_set("sst2").fingerprint == hidden.sample_set("sst2").fingerprint


def hidden_runs(config):
    from repdrift.study.runs import planned_runs

    return planned_runs(config)


def test_no_file_of_the_archive_quotes_a_row(study, quoted):
    with zipfile.ZipFile(study / "out.zip") as archive:
        names = archive.namelist()
        for name in names:
            if not name.endswith((".png", ".pdf", ".parquet")):
                assert _holding(archive.read(name).decode(), quoted) == [], name
        archive.extractall(study / "unpacked")
    for path in (study / "unpacked").rglob("*.parquet"):
        assert _holding(pd.read_parquet(path).to_csv(), quoted) == [], path
    assert names[-1] == MANIFEST_FILE
    assert not [name for name in names if name.endswith((".pt", ".safetensors"))]


def test_an_export_holds_what_identifies_the_study(study):
    unpacked = study / "unpacked2"
    with zipfile.ZipFile(study / "out.zip") as archive:
        archive.extractall(unpacked)
    found = StudyFingerprints.read(unpacked / FINGERPRINTS_FILE)
    runs = [RunRecord.read(path) for path in sorted((study / "results").glob("*/run.json"))]
    assert {(run.method, run.key, run.weights_digest) for run in found.runs} == {
        (run.method, run.key, run.weights_digest) for run in runs
    }
    assert [(of.method, of.step) for of in found.sets] == [("full_finetune", 0), ("lora", 0), ("base", 0), ("base", 0)]
    assert found.missing == []
    said = yaml.safe_load((unpacked / "study.yaml").read_text())
    assert said["analysis"] == {"replicates": 0, "sample_texts": False}
    assert load_study(unpacked / "study.yaml").training == load_study(study / "study.yaml").training


def test_the_same_study_gives_the_same_bytes(study):
    run_here("python -m repdrift export results again.zip --no-figures", study)
    done = run_here("python -m repdrift export study.yaml third.zip --no-figures", study)
    assert (study / "again.zip").read_bytes() == (study / "third.zip").read_bytes()
    assert "Weights of the 2 trained models" in done.stdout
    assert "the study says `sample_texts: false`" in done.stdout
    run_here("python -m repdrift verify third.zip", study)
    refused = run_here("python -m repdrift export study.yaml no.zip --sample-texts", study, fails=True)
    assert "so that its texts are not exported" in refused.stderr
    assert not (study / "no.zip").exists()


def test_an_archive_is_read_and_drawn_like_the_folder(study):
    packed, folder = repdrift.load_results(study / "out.zip"), repdrift.load_results(study)
    pd.testing.assert_frame_equal(packed.table, folder.table)
    assert packed.record.tests == folder.record.tests
    assert packed.record.reductions == folder.record.reductions
    for name in ("samples", "outcomes", "runs"):
        pd.testing.assert_frame_equal(packed.to_pandas(name), folder.to_pandas(name))
    place = packed.folder
    assert place.is_dir()
    del packed
    assert not place.exists()
