"""A study in which one arm trains on a 4-bit base model: every output says what its drift and its scores are of."""

import json

import pytest

from repdrift.core.records.representation_set import SetMetadata
from repdrift.study import task_scoring
from repdrift.training import kept_scores
from tests.command_line import run_here
from tests.tiny_models import save_bert, write_sentences

pytest.importorskip("bitsandbytes")

STUDY = """
name: quantised
model: {model}
data_dir: {data}
tasks: [sst2]
methods: [full_finetune, lora, {{name: qlora, kind: lora, base_bits: 4}}]
seeds: [1]
training:
  all: {{epochs: 1, batch_size: 8, max_length: 32, max_train_samples: 16, max_validation_samples: 16, learning_rate: 0.01}}
extraction: {{samples: 12, layers: [0, 2]}}
analysis: {{replicates: 0}}
"""
SAID = "trained its adapter on a 4-bit base model"


def test_every_output_says_what_the_drift_of_a_4_bit_arm_is_of(tiny_data, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(
        task_scoring, "kept_scores", lambda folder, *rest: taken.append(folder) or kept_scores(folder, *rest)
    )
    base = save_bert(tmp_path / "base", width=64)
    (tmp_path / "quantised.yaml").write_text(STUDY.format(model=base, data=tiny_data), encoding="utf-8")
    planned = run_here("python -m repdrift run quantised.yaml --dry-run", tmp_path).stdout
    (line,) = (line for line in planned.splitlines() if "sst2, qlora" in line)
    assert "of main memory first, for the full weights before they are quantised" in line
    assert planned.count("before they are quantised") == 1
    said = run_here("python -m repdrift run quantised.yaml", tmp_path)
    assert len(said.stdout.splitlines()) <= 25
    assert SAID in " ".join(said.stdout.split())
    sets = {found.method: found for path in tmp_path.rglob("metadata.json") for found in [SetMetadata.read(path)]}
    # training scored the 4-bit model, which is not the one that outcomes are of
    assert {folder.name.rsplit("_", 2)[0] for folder in taken} == {"full_finetune", "lora"}
    quantised = {method for method, found in sets.items() if found.run_quantised_base is not None}
    assert quantised == {"qlora"}
    assert {c.module for c in sets["qlora"].weight_changes} == {c.module for c in sets["lora"].weight_changes}
    results = json.loads(next(tmp_path.rglob("drift_analysis_results.json")).read_text(encoding="utf-8"))
    (caution,) = (caution for caution in results["warnings"] if SAID in caution)
    assert caution.startswith("qlora trained")
    assert SAID in next(tmp_path.rglob("drift_analysis_summary.md")).read_text(encoding="utf-8")
    assert any(SAID in page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html"))
    folder = next(path.parent for path in tmp_path.rglob("run.json") if path.parent.name.startswith("qlora"))
    texts = write_sentences(tmp_path / "texts.txt", 8)
    compared = run_here(f"python -m repdrift compare {base} {folder / 'final_model'} --data {texts}", tmp_path)
    assert SAID in " ".join(compared.stdout.split())
