"""Models that choose between sparse and full attention by the length of a batch are read alike, whatever was read before."""

import pytest
import torch

from repdrift.extraction import ExtractionJob, ExtractionOptions, extract, extract_set
from repdrift.extraction.model_inputs import sample_set_of
from repdrift.models import load_backbone, resolve_model
from repdrift.models.full_attention import FullAttention
from repdrift.stores import open_set

SIZES = {
    "vocab_size": 60, "num_hidden_layers": 2, "block_size": 4, "num_random_blocks": 1, "max_position_embeddings": 128, "pad_token_id": 0,
    "bos_token_id": 2, "eos_token_id": 3,
}  # fmt: skip


def _bigbird():
    from transformers import BigBirdConfig, BigBirdModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "initializer_range": 0.5}
    return BigBirdModel(BigBirdConfig(**SIZES, **sizes, sep_token_id=4)).eval()


def _bigbird_pegasus():
    from transformers import BigBirdPegasusConfig, BigBirdPegasusModel

    torch.manual_seed(0)
    sizes = {
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
    }
    return BigBirdPegasusModel(
        BigBirdPegasusConfig(**SIZES, **sizes, encoder_ffn_dim=32, decoder_ffn_dim=32, init_std=0.5)
    ).eval()


def _inputs(lengths, seed=0):
    ids = torch.randint(5, 60, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask}


@pytest.mark.parametrize("build", [_bigbird, _bigbird_pegasus])
def test_rows_do_not_depend_on_what_was_read_before_or_beside_them(build):
    model = build()
    modules, state = list(model.modules()), torch.random.get_rng_state()
    long, short = _inputs([60, 41]), _inputs([5, 7])
    first = extract(model, long)
    extract(model, short)
    again = extract(model, long)
    alone = extract(model, {name: values[1:, :41] for name, values in long.items()})
    assert torch.equal(torch.random.get_rng_state(), state)
    full = build()
    (full if build is _bigbird else full.encoder).set_attention_type("original_full")
    for name, rows in extract(full, long).items():
        assert torch.equal(first[name], again[name])
        torch.testing.assert_close(first[name][1:], alone[name], rtol=0, atol=1e-5)
        assert torch.equal(first[name], rows)
    assert all(a is b for a, b in zip(model.modules(), modules, strict=True))
    assert FullAttention(model).is_needed


def test_both_schedules_read_it_alike_and_say_so(tmp_path, capsys):
    _bigbird().save_pretrained(tmp_path / "model")
    source = resolve_model(str(tmp_path / "model"))
    samples = sample_set_of(_inputs([60, 41, 5, 7]))
    expected = extract(load_backbone(source), samples)
    keys = set()
    for schedule in ("sample", "layer"):
        options = ExtractionOptions(schedule=schedule, token_budget=60, pooling="mean")
        metadata, _ = extract_set(ExtractionJob("job", "base", None, 0, source, samples, options), tmp_path / schedule)
        keys.add(metadata.key)
        assert "run with full attention on all texts" in capsys.readouterr().err
        for name, rows in expected.items():
            torch.testing.assert_close(open_set(tmp_path / schedule).layer(int(name[-1])), rows, rtol=0, atol=1e-5)
    assert len(keys) == 1
