"""Two processes under torchrun: the files are those of one process, and so are the comparison's numbers."""

import json
import os
import subprocess
import sys

import pytest

from tests.tiny_models import write_sentences


def _torchrun(*arguments, cwd):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, *arguments], check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def _repdrift(*arguments, cwd):
    command = [sys.executable, "-m", "repdrift", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture
def trained(tiny_study, tmp_path):
    _repdrift("train", "--config", str(tiny_study), "--task", "sst2", "--method", "lora", "--seed", "1", cwd=tmp_path)
    return tiny_study


def test_files_of_two_processes_are_those_of_one(trained, tmp_path):
    arguments = ["extract", "--config", str(trained), "--task", "sst2", "--method", "lora", "--seed", "1", "--json"]
    one = _repdrift(*arguments, "--base-dir", "one_base", cwd=tmp_path)
    (tmp_path / "results/phase3_representations").rename(tmp_path / "one_sets")
    two = _torchrun("-m", "repdrift", *arguments, "--base-dir", "two_base", cwd=tmp_path)
    alone, together = json.loads(one.stdout), json.loads(two.stdout)
    assert len(alone) == len(together) == 4, "base model, its second extraction, the run, and its random change"
    assert all(entry["extracted_now"] for entry in together)
    for entry in together:
        folder = tmp_path / entry["folder"]
        twin = tmp_path / entry["folder"].replace("two_base", "one_base")
        if "phase3_representations" in str(folder):
            twin = tmp_path / "one_sets" / folder.relative_to(tmp_path / "results/phase3_representations")
        metadata = json.loads((folder / "metadata.json").read_text())
        assert metadata["extraction"]["processes"] == 2
        assert metadata["files"] == json.loads((twin / "metadata.json").read_text())["files"]
    _repdrift("verify", "results/phase3_representations", cwd=tmp_path)


COMPARE_TWICE = """
import json, sys
from pathlib import Path
from repdrift.core.progress import is_first_process
from repdrift.comparison import compare

base, full, adapter, texts = sys.argv[1:]
for pooling in ("mean", "tokens"):
    result = compare(base, [full, adapter], data=texts, pooling=pooling, output_dir=pooling)
    if is_first_process():
        Path(f"{pooling}.json").write_text(result.model_dump_json())
"""


def test_comparison_of_two_processes_gives_the_numbers_of_one(tiny_bert, tuned_bert, bert_adapter, tmp_path):
    from repdrift.comparison import compare

    texts = write_sentences(tmp_path / "lines.txt", 30)
    script = tmp_path / "compare_twice.py"
    script.write_text(COMPARE_TWICE, encoding="utf-8")
    _torchrun(str(script), str(tiny_bert), str(tuned_bert), str(bert_adapter), str(texts), cwd=tmp_path)
    for pooling in ("mean", "tokens"):
        one = compare(str(tiny_bert), [str(tuned_bert), str(bert_adapter)], data=str(texts), pooling=pooling)
        two = json.loads((tmp_path / f"{pooling}.json").read_text())
        assert (tmp_path / pooling / "drift_by_layer.png").is_file()
        for a, b in zip(one.models, two["models"], strict=True):
            assert [at.drift for at in a.layers] == pytest.approx([at["drift"] for at in b["layers"]], abs=1e-7)
            assert a.layers[0].rows == b["layers"][0]["rows"]
            assert b["layers"][0]["random_change_drift"] > 0


def test_training_under_torchrun_is_refused(tiny_study, tmp_path):
    command = [sys.executable, "-m", "repdrift", "train", "--config", str(tiny_study)]
    environment = {**os.environ, "WORLD_SIZE": "2", "RANK": "0", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "train without torchrun" in done.stderr
