"""One study with every kind of tuning as an arm, on tiny models: trained, extracted, analysed and reported."""

import json

import pytest

from repdrift.core.records.representation_set import SetMetadata
from repdrift.training import tuning_kinds
from tests.command_line import run_here

PROMPTS = {"prefix_tuning", "prompt_tuning", "p_tuning"}
FOR_LLAMA = {*PROMPTS, "full_finetune", "lora", "ia3"}
"""Kinds that a decoder may treat in another way than an encoder."""
STUDY = """
name: every
model: {model}
data_dir: {data}
tasks: [sst2]
methods: [{methods}]
reference: full_finetune
seeds: [1]
training:
  all: {{epochs: 1, batch_size: 8, max_length: 32, max_train_samples: 16, max_validation_samples: 16, learning_rate: 0.01}}
extraction: {{samples: 12, layers: [0, 2]}}
analysis: {{replicates: 0}}
outcomes: {{probes: false}}
"""


def entry(kind):
    options = {"layers": "last: 1", "prefix_tuning": "virtual_tokens: 4", "pissa": "rank: 4"}.get(kind)
    return kind if options is None else f"{{name: {kind}, kind: {kind}, {options}}}"


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_every_kind_of_arm_goes_through_a_whole_study(model, request, tiny_data, tmp_path):
    kinds = [kind for kind in tuning_kinds.names() if model == "tiny_bert" or kind in FOR_LLAMA]
    study = STUDY.format(
        model=request.getfixturevalue(model), data=tiny_data, methods=", ".join(entry(kind) for kind in kinds)
    )
    (tmp_path / "every.yaml").write_text(study, encoding="utf-8")
    run_here("python -m repdrift run every.yaml", tmp_path)
    sets = [SetMetadata.read(path) for path in tmp_path.rglob("metadata.json")]
    tuned = {found.method: found for found in sets if found.method not in ("base", "random_change")}
    assert set(tuned) == set(kinds)
    assert len({tuple(found.shape) for found in sets}) == 1
    moved = {method for method, found in tuned.items() if any(c.change_norm > 0 for c in found.weight_changes or ())}
    assert moved == set(kinds) - PROMPTS
    assert {method for method, found in tuned.items() if found.virtual_tokens} == PROMPTS
    assert all("changes no weight" in (tuned[kind].weights_not_compared or [""])[0] for kind in PROMPTS)
    assert {found.random_change.method for found in sets if found.random_change is not None} == moved
    assert {method for method, found in tuned.items() if found.adapter} == set(kinds) & {
        "lora",
        "dora",
        "rslora",
        "pissa",
    }
    summary = next(tmp_path.rglob("drift_analysis_summary.md")).read_text(encoding="utf-8")
    assert summary.count("is a learned prompt: ") == len(PROMPTS)
    results = json.loads(next(tmp_path.rglob("drift_analysis_results.json")).read_text(encoding="utf-8"))
    assert set(kinds) <= set(json.dumps(results).replace('"', " ").split())
