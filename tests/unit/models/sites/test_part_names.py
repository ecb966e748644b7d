import pytest

from repdrift.models.sites.part_names import is_mlp, part_kind


@pytest.mark.parametrize(
    ("name", "kind", "block", "part"),
    [
        ("self_attn", "LlamaAttention", "LlamaDecoderLayer", "attention"),
        ("layer.0", "T5LayerSelfAttention", "T5Block", "attention"),
        ("layer.1", "T5LayerCrossAttention", "T5Block", "cross"),
        ("encoder_attn", "BartAttention", "BartDecoderLayer", "cross"),
        ("crossattention", "BertAttention", "BertLayer", "cross"),
        ("temporal_block", "RecurrentGemmaRecurrentBlock", "RecurrentGemmaDecoderLayer", "mixer"),
        ("mlp_block", "RecurrentGemmaMlp", "RecurrentGemmaDecoderLayer", None),
        ("mixer", "MambaMixer", "MambaBlock", "mixer"),
        ("mamba", "JambaMambaMixer", "JambaMambaDecoderLayer", "mixer"),
        ("mlp", "GptOssMLP", "GptOssDecoderLayer", None),
        ("intermediate", "ConvBertIntermediate", "ConvBertLayer", None),
        ("output", "BertOutput", "BertLayer", None),
    ],
)
def test_a_part_is_known_by_its_own_name_and_not_by_its_familys(name, kind, block, part):
    assert part_kind(name, kind, block) == part


def test_mlps_and_experts_are_known():
    assert is_mlp("shared_mlp", "GraniteMoeSharedMLP")
    assert is_mlp("block_sparse_moe", "Experts")
    assert is_mlp("feed_forward", "Linear")
    assert not is_mlp("self_attn", "LlamaAttention")
