"""`repdrift run --dry-run`: what a study would take, with nothing trained and nothing written."""

from repdrift.study.config import load_study
from repdrift.study.dry_run import DryRun, Estimate, dry_run, dry_run_lines
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import planned_runs
from repdrift.training.memory_accounting import MemoryAccount
from tests.command_line import run_here


def test_dry_run_prints_each_stage_and_writes_nothing(tiny_bert, tiny_data, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(
        f"name: dry\nmodel: {tiny_bert}\ntasks: [sst2]\nseeds: [1, 2]\ndata_dir: {tiny_data}\n"
        "training: {all: {batch_size: 8, epochs: 1, max_length: 32}}\n"
    )
    done = run_here("python -m repdrift run study.yaml --dry-run", tmp_path)
    assert "training: 4 models to train, 0 trained already; at least" in done.stdout
    assert "sst2, lora (2 runs): about" in done.stdout
    assert "extraction: 8 representation sets" in done.stdout
    assert "outcomes: flips, outputs, probes, task_scores" in done.stdout
    assert "Nothing was trained or written." in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_trials_are_counted_before_any_and_after_all_were_made(tiny_bert, tiny_data, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(
        f"name: dry\nmodel: {tiny_bert}\ntasks: [sst2]\nmethods: [full_finetune, lora]\nseeds: [1]\ndata_dir: {tiny_data}\n"
        "training: {all: {batch_size: 8, epochs: 1, max_length: 32, max_train_samples: 32, max_validation_samples: 16}}\n"
        "extraction: {samples: 16}\ntune: {trials: 2}\n"
    )
    dry_run = "python -m repdrift run study.yaml --dry-run"
    before = run_here(dry_run, tmp_path).stdout
    assert "tuning: 4 trials to make; at least" in before
    assert "sst2, full_finetune (2 trials): about" in before
    assert "training: 2 models to train, 0 trained already" in before
    assert "analysis and figures: time not estimated, memory about" in before
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]
    run_here("python -m repdrift tune --config study.yaml --method lora", tmp_path)
    half = run_here(dry_run, tmp_path).stdout
    assert "tuning: 2 trials to make" in half
    assert "sst2, lora (2 trials)" not in half
    run_here("python -m repdrift tune --config study.yaml", tmp_path)
    assert "tuning: 0 trials to make" in run_here(dry_run, tmp_path).stdout


def test_checkpoints_are_on_the_disk_too(tiny_bert, tiny_data, tmp_path):
    study = tmp_path / "study.yaml"
    options = "batch_size: 8, epochs: 1, max_length: 32, max_train_samples: 32"
    head = f"name: dry\nmodel: {tiny_bert}\ntasks: [sst2]\nmethods: [full_finetune]\nseeds: [1]\ndata_dir: {tiny_data}\nextraction: {{samples: 16}}\n"
    bytes_of = {}
    for name, more in {"none": "", "three": ", checkpoints: 3"}.items():
        study.write_text(f"{head}training: {{all: {{{options}{more}}}}}\n")
        config = load_study(study)
        found = dry_run(StudyInputs(config, str(study)), planned_runs(config))
        bytes_of[name] = found.training[0].saved
        said = "\n".join(dry_run_lines(found))
        assert ("(3 checkpoints among it)" in said) is (name == "three")
        assert "about 3 steps, with a rate that rises over the first 1; memory" in said
    assert bytes_of["three"] == 4 * bytes_of["none"]


def test_a_training_in_bfloat16_is_timed_by_products_in_bfloat16(tiny_bert, tiny_data, tmp_path, monkeypatch):
    speeds = {"float32": 1e9, "bfloat16": 4e9}
    monkeypatch.setattr("repdrift.study.dry_run.matrix_product_rate", lambda precision="float32": speeds[precision])
    study = tmp_path / "study.yaml"
    seconds = {}
    for precision in speeds:
        study.write_text(
            f"name: dry\nmodel: {tiny_bert}\ntasks: [sst2]\nmethods: [full_finetune]\nseeds: [1]\ndata_dir: {tiny_data}\n"
            f"training: {{all: {{epochs: 1, max_length: 32, precision: {precision}}}}}\nextraction: {{samples: 16}}\n"
        )
        config = load_study(study)
        found = dry_run(StudyInputs(config, str(study)), planned_runs(config))
        seconds[precision] = found.training[0].least_s
        assert ("(4 in bfloat16" in "\n".join(dry_run_lines(found))) is (precision == "bfloat16")
    assert seconds["float32"] == 4 * seconds["bfloat16"]


def test_what_is_not_known_is_said_and_not_made_up():
    memory = MemoryAccount(weights=2_000_000_000, gradients=5_000_000, optimizer=0, passing=0, peak=2_100_000_000)
    kinds = [Estimate("a, lora", 3, memory, 7200.0, None), Estimate("b, lora", 1, None, None, None)]
    said = "\n".join(dry_run_lines(DryRun(kinds, 2, 5e9, 1, 4, None, None)))
    assert "4 models to train, 2 trained already; at least 6.0 h" in said
    assert "memory about 2.1 GB (weights 2.0 GB, gradients 5 MB" in said
    assert "b, lora (1 run): memory not known; time not known" in said
    assert "4 representation sets: time not known" in said
    assert "tuning" not in said
