from dataclasses import replace

import pytest
import torch

from repdrift.core.errors import DataError
from repdrift.core.records.sink_tokens import SinkTokens
from repdrift.extraction import ExtractionOptions, RepresentationExtractor
from repdrift.extraction.job import ExtractionJob
from repdrift.extraction.pooling import pool_for_batch
from repdrift.extraction.row_index import RowIndex
from repdrift.extraction.set_extraction import extract_set
from repdrift.models import load_backbone, load_tokenizer, resolve_model
from repdrift.stores import open_set
from repdrift.tasks import TaskSpec, build_sample_set
from tests.tiny_models import sentence

SPEC = TaskSpec("own", "causal_lm", ("prompt",), "completion", "own")


@pytest.fixture(scope="module")
def base(tiny_language_model):
    return resolve_model(str(tiny_language_model))


@pytest.fixture(scope="module")
def samples(base):
    rows = [{"prompt": sentence(i, 2 + i % 4), "completion": sentence(i + 50, 1 + i % 3)} for i in range(8)]
    return build_sample_set(SPEC, rows, load_tokenizer(base), max_length=32)


@pytest.fixture(scope="module")
def hidden(base, samples):
    """Output of block 1 for every token of each sample, by a run of its own."""
    model = load_backbone(base)
    with torch.inference_mode():
        return [
            model(torch.tensor([list(ids)]), output_hidden_states=True).hidden_states[2][0] for ids in samples.input_ids
        ]


def extracted(base, samples, pooling, part):
    return RepresentationExtractor(load_backbone(base), layers=[1], pooling=pooling).extract(samples.over(part))[1]


@pytest.mark.parametrize("part", ["prompt", "completion"])
@pytest.mark.parametrize("pooling", ["mean", "last", "first", "tokens"])
def test_pooling_takes_the_tokens_of_its_part_alone(base, samples, hidden, pooling, part):
    rows = []
    for states, mask in zip(hidden, samples.completion_masks, strict=True):
        chosen = states[torch.tensor(mask).bool() == (part == "completion")]
        rows.append(
            {"mean": chosen.mean(0, keepdim=True), "last": chosen[-1:], "first": chosen[:1], "tokens": chosen}[pooling]
        )
    torch.testing.assert_close(extracted(base, samples, pooling, part), torch.cat(rows), rtol=1e-5, atol=1e-6)


def test_last_token_over_all_and_over_the_completion_is_the_end_token(base, samples):
    torch.testing.assert_close(extracted(base, samples, "last", "all"), extracted(base, samples, "last", "completion"))


def test_sinks_are_numbered_in_the_whole_sample_and_left_out_of_the_part():
    hidden = torch.arange(12.0).reshape(1, 6, 2)
    mask, part = torch.tensor([[1, 1, 1, 1, 1, 0]]), torch.tensor([[0, 0, 1, 1, 1, 0]])
    pool = pool_for_batch("mean_without_sinks", mask, [(0, 3)], among=part)
    torch.testing.assert_close(pool(hidden), (hidden[:, 2] + hidden[:, 4]) / 2)
    torch.testing.assert_close(pool_for_batch("mean_skip_first", mask, among=part)(hidden), hidden[:, 2:5].mean(1))
    with pytest.raises(DataError, match="every token of the part to pool over is an attention sink"):
        pool_for_batch("mean_without_sinks", mask, [(2, 3, 4)], among=part)


def test_rows_of_tokens_are_those_of_the_part(samples):
    index = RowIndex(samples.over("prompt"), "tokens")
    assert index.n_rows == sum(mask.count(0) for mask in map(list, samples.completion_masks))
    assert index.rows_of([1]).tolist() == [2, 3, 4]


def test_part_that_a_sample_lacks_is_refused(samples):
    plain = replace(samples, completion_masks=None)
    with pytest.raises(DataError, match="has no completions"):
        plain.over("completion")
    without = replace(samples, completion_masks=([1] * len(samples.input_ids[0]), *samples.completion_masks[1:]))
    with pytest.raises(DataError, match=r"sample '0' \(row 1 of those read\) of task 'own' has no prompt token"):
        without.over("prompt")


@pytest.mark.parametrize("schedule", ["sample", "layer"])
def test_set_over_a_part_has_its_own_key_and_says_so(base, samples, tmp_path, schedule):
    def job(**options):
        options = ExtractionOptions(schedule=schedule, layers=(1,), token_budget=40, **options)
        return ExtractionJob("own", "base", None, 0, base, samples, options)

    over_all, over_part = job(pooling="mean"), job(pooling="mean", pool_over="completion")
    assert over_all.key() != over_part.key()
    assert "pool_over" not in over_all.options.for_key()
    metadata, _ = extract_set(over_part, tmp_path / "set")
    assert metadata.pool_over == "completion"
    assert metadata.sample_set_fingerprint == samples.fingerprint
    assert (
        "The representations are pooled over the tokens of the completion alone." in metadata.extraction["data_notes"]
    )
    assert over_part.samples.over("all").notes == samples.notes
    found = open_set(tmp_path / "set").layer(1)
    torch.testing.assert_close(found, extracted(base, samples, "mean", "completion"), rtol=1e-5, atol=1e-6)


def test_sinks_of_the_base_are_the_same_whatever_is_pooled(base, samples, tmp_path):
    def sinks(part):
        options = ExtractionOptions(pooling="mean_without_sinks", pool_over=part)
        return extract_set(ExtractionJob("own", "base", None, 0, base, samples, options), tmp_path / part)[0].sinks

    whole, part = sinks("all"), sinks("completion")
    assert isinstance(whole, SinkTokens)
    assert isinstance(part, SinkTokens)
    assert whole.positions == part.positions
