"""A study whose runs save checkpoints: `run` extracts them with their scores, and compares the methods at equal skill."""

import json

import pytest

from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.records.results import DriftResults
from repdrift.core.records.run import RunRecord
from tests.command_line import run_here

STUDY = """
name: tiny
model: {model}
tasks: [{{name: mine, text_columns: [body], label_column: label, train: train.csv, validation: validation.csv}}]
methods: [full_finetune, lora]
seeds: [1]
outcomes: []
training:
  all: {{epochs: 6, batch_size: 8, max_length: 16, checkpoints: 3, learning_rate: 0.005}}
  methods: {{lora: {{learning_rate: 0.02}}}}
analysis: {{replicates: 0}}
"""


def _rows(path, count):
    """Rows whose label is told by their first word."""
    words = ("good", "bad"), ("film", "book", "day", "town", "train"), ("one", "two", "three", "four")
    lines = [f"{words[0][i % 2]} {words[1][i % 5]} {words[2][i % 4]} {words[1][i % 3]},{i % 2}" for i in range(count)]
    path.write_text("body,label\n" + "\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def done(tiny_bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("equal_skill")
    _rows(folder / "train.csv", 48)
    _rows(folder / "validation.csv", 40)
    (folder / "study.yaml").write_text(STUDY.format(model=tiny_bert), encoding="utf-8")
    return folder, run_here("python -m repdrift run study.yaml", folder)


def _results(folder):
    return DriftResults.read(folder / "results/drift_analysis/drift_analysis_results.json")


def test_every_checkpoint_has_its_score_and_its_step(done):
    folder, _ = done
    records = [RunRecord.read(path) for path in folder.rglob("run.json")]
    runs = {(r.method, r.seed, r.step): r for r in _results(folder).runs}
    assert len(records) == 2
    assert len(runs) == 2 * 4
    for record in records:
        for step in record.checkpoints:
            found = runs[record.method, record.seed, step]
            assert found.metrics == record.checkpoint_scores[step]
            assert (found.trained_steps, found.learnt) == (step, None)
        assert runs[record.method, record.seed, 0].trained_steps == record.hyperparameters["steps"]


def test_the_methods_are_compared_at_equal_skill_or_the_reason_is_said(done):
    folder, printed = done
    found = {each.task: each for each in _results(folder).equal_skill}
    assert set(found) == {"mine", "all"}
    assert len(found["mine"].paths) == 2
    assert {len(path.scores) for path in found["mine"].paths} == {3}  # the last checkpoint is the final model
    assert found["all"].test is not None
    assert found["all"].test.n_units == 2
    first = " ".join(printed.stdout.split("\n\n")[0].split())
    assert first.startswith(
        "Whether LoRA drifts less than full fine-tuning at equal skill cannot be tested (measured: "
    )
    assert "2 models are too few" in first
    assert "at equal skill" in printed.stdout.split("\n\n")[1].splitlines()[0]
    summary = (next(folder.rglob("drift_analysis_summary.md"))).read_text(encoding="utf-8").replace("\\", "")
    assert found["all"].sentence in summary
    assert list(folder.rglob("frontier.png"))


def test_nothing_is_extracted_again_and_scores_of_older_sets_are_noted(done):
    folder, _ = done
    (place,) = [path for path in folder.rglob("metadata.json") if "full_finetune_seed1/step_000001" in path.as_posix()]
    kept = SetMetadata.read(place)
    kept.model_copy(update={"run_metrics": None, "trained_steps": None}).write(place)
    again = json.loads(
        run_here("python -m repdrift extract --config study.yaml --checkpoint all --json", folder).stdout
    )
    assert not any(entry["extracted_now"] for entry in again)
    assert SetMetadata.read(place) == kept
    assert kept.trained_steps == 1


def test_a_named_score_and_no_comparison_are_options_of_analyze(done):
    folder, _ = done
    analyze = "python -m repdrift analyze --config study.yaml --output-dir other"
    none = run_here(f"{analyze} --no-equal-skill --full", folder)
    assert "at equal skill" not in none.stdout
    high = run_here(f"{analyze} --equal-skill-score mine=2 --full", folder)
    assert "no run of full fine-tuning reaches accuracy 2.00; the best has 1.000" in high.stdout
    wrong = run_here(f"{analyze} --equal-skill-score other=0.8", folder, fails=True)
    assert "unknown task under equal_skill_score" in wrong.stderr
