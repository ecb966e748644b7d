"""Two processes under torchrun: the files are those of one process, and so are the comparison's numbers."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.command_line import run_here
from tests.planted_sinks import save_with_sinks
from tests.tiny_models import save_tuned, write_sentences

RUN = "--task sst2 --method lora --seed 1"
# One torchrun for all tests: it takes 12 s to import everything three times. `world()` outlives the first command.
SCRIPT = """
import json, sys
from pathlib import Path
from repdrift.cli.main import main
from repdrift.comparison import compare
from repdrift.core.progress import is_first_process

base, full, adapter, texts, *extract = sys.argv[1:]
try:
    main(["extract", *extract])
except SystemExit as end:
    assert not end.code
for pooling in ("mean", "tokens"):
    sites = ("attn_out", "mlp_out", "embeddings")
    result = compare(base, [full, adapter], data=texts, pooling=pooling, output_dir=pooling, sites=sites)
    if is_first_process():
        Path(f"{pooling}.json").write_text(result.model_dump_json())
for accumulate in ("rows", "moments"):
    result = compare("decoder", ["decoder_tuned"], data=texts, accumulate=accumulate)
    if is_first_process():
        Path(f"decoder_{accumulate}.json").write_text(result.model_dump_json())
"""


@pytest.fixture(scope="module")
def study(tiny_bert, tiny_data, tmp_path_factory):
    """The file of a study in which one LoRA run is trained; its folders lie where a command is run."""
    folder = tmp_path_factory.mktemp("one")
    (folder / "tiny.yaml").write_text(
        f"""
name: tiny
model: {tiny_bert}
data_dir: {tiny_data}
tasks: [sst2]
methods: [full_finetune, lora]
seeds: [1, 2]
extraction: {{sites: [attn_out, embeddings, adapter_out]}}
training:
  all: {{epochs: 1, batch_size: 8, max_length: 32, learning_rate: 0.01}}
""",
        encoding="utf-8",
    )
    run_here(f"python -m repdrift train --config tiny.yaml {RUN}", folder)
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def two_processes(study, tiny_bert, tuned_bert, bert_adapter, tiny_llama, tmp_path_factory):
    """The folder of the run under torchrun, and what its extraction printed."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copytree(study.parent, folder, dirs_exist_ok=True)
    texts = write_sentences(folder / "lines.txt", 30)
    save_tuned(save_with_sinks(tiny_llama, folder / "decoder"), folder / "decoder_tuned")
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "script.py"]
    models_and_texts = map(str, (tiny_bert, tuned_bert, bert_adapter, texts))
    done = subprocess.run(
        [*command, *models_and_texts, "--config", "tiny.yaml", *RUN.split(), "--json"],
        check=False, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads(done.stdout)


def test_files_of_two_processes_are_those_of_one(two_processes, study):
    folder, together = two_processes
    alone = run_here(f"python -m repdrift extract --config tiny.yaml {RUN} --json", study.parent)
    alone = {entry["folder"]: entry for entry in json.loads(alone.stdout)}
    assert len(together) == 4, "base model, its second extraction, the run, and its random change"
    assert {entry["folder"] for entry in together} == alone.keys()
    for entry in together:
        assert entry["extracted_now"]
        two, one = (
            json.loads((root / entry["folder"] / "metadata.json").read_text()) for root in (folder, study.parent)
        )
        assert (two["extraction"]["processes"], one["extraction"]["processes"]) == (2, 1)
        assert two["files"] == one["files"]
        assert {"attn_out_2.pt", "embeddings.pt"} <= two["files"].keys()
        assert ("adapter_out_2.pt" in two["files"]) == (two["method"] == "lora"), "only the run has an adapter"
    run_here("python -m repdrift verify .", folder)


def test_comparison_of_two_processes_gives_the_numbers_of_one(two_processes, tiny_bert, tuned_bert, bert_adapter):
    from repdrift.comparison import compare

    folder, _ = two_processes
    for pooling in ("mean", "tokens"):
        texts = str(folder / "lines.txt")
        sites = ("attn_out", "mlp_out", "embeddings")
        one = compare(str(tiny_bert), [str(tuned_bert), str(bert_adapter)], data=texts, pooling=pooling, sites=sites)
        two = json.loads((folder / f"{pooling}.json").read_text())
        assert (folder / pooling / "drift_by_layer.png").is_file()
        for a, b in zip(one.models, two["models"], strict=True):
            assert [at.drift for at in a.layers] == pytest.approx([at["drift"] for at in b["layers"]], abs=1e-7)
            assert a.layers[0].rows == b["layers"][0]["rows"]
            assert b["layers"][0]["random_change_drift"] > 0
            assert [of.site for of in a.sites] == [of["site"] for of in b["sites"]] == list(sites)
            for mine, theirs in zip(a.sites, b["sites"], strict=True):
                assert [at.drift for at in mine.layers] == pytest.approx(
                    [at["drift"] for at in theirs["layers"]], abs=1e-6
                )
            assert a.attention_or_mlp.difference == pytest.approx(b["attention_or_mlp"]["difference"], abs=1e-6)


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_two_processes_leave_out_the_sinks_that_one_leaves_out(two_processes, accumulate):
    from repdrift.comparison import compare

    folder, _ = two_processes
    texts = str(folder / "lines.txt")
    one = compare(str(folder / "decoder"), [str(folder / "decoder_tuned")], data=texts, accumulate=accumulate)
    two = json.loads((folder / f"decoder_{accumulate}.json").read_text())
    assert one.sinks is not None
    assert one.sinks.sinks > 0
    assert one.sinks.digest == two["sinks"]["digest"]
    drifts = [[at["drift"] for at in model["layers"]] for model in two["models"]]
    assert [at.drift for at in one.models[0].layers] == pytest.approx(drifts[0], abs=1e-6)
    assert all(at["random_change_drift"] > 0 for at in two["models"][0]["layers"])


def test_training_under_torchrun_is_refused(tiny_study, tmp_path):
    command = f"python -m repdrift train --config {tiny_study}"
    done = run_here(command, tmp_path, fails=True, WORLD_SIZE="2", RANK="0")
    assert done.returncode == 1
    assert "Train without torchrun" in done.stderr
