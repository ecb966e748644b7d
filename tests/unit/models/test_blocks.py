import pytest
import torch
import transformers
from torch import nn

from repdrift.core.errors import ModelError, ShapeError
from repdrift.extraction.block_hooks import capture_hidden_states
from repdrift.models import backbone_of, decoder_inputs, find_blocks

WIDTH, DEPTH = 8, 3


class Block(nn.Module):
    """Adds a projection to the residual stream; `shape` turns the sum into what the block gives."""

    def __init__(self, shape=lambda hidden: hidden, experts=0):
        super().__init__()
        self.project = nn.Linear(WIDTH, WIDTH)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(WIDTH, WIDTH)) for _ in range(experts)])
        self.shape = shape

    def forward(self, hidden):
        return self.shape(hidden + self.project(hidden))


class Model(nn.Module):
    """Runs `order` of `layers`; the hidden state stays (b, t, d) between them, whatever the blocks give."""

    def __init__(self, layers, order=None, depth=DEPTH, **others):
        super().__init__()
        self.embed = nn.Embedding(20, WIDTH)
        self.layers = layers
        self.order = order or list(range(len(layers)))
        self.config = transformers.PreTrainedConfig(num_hidden_layers=depth)
        for name, module in others.items():
            self.add_module(name, module)

    def forward(self, input_ids):
        hidden = self.embed(input_ids)
        for number in self.order:
            hidden = hidden + self.layers[number].project(hidden) if self.layers[number](hidden) is not None else hidden
        return hidden


IDS = torch.arange(10).reshape(2, 5)


def blocks_of(count=DEPTH, **options):
    return nn.ModuleList([Block(**options) for _ in range(count)])


def captured(model, layers=(0, 1, 2), **named):
    found = []
    with (
        torch.inference_mode(),
        capture_hidden_states(find_blocks(model, **named), layers, lambda layer, _: found.append(layer)),
    ):
        model(IDS)
        model(IDS)
    return found


def test_experts_as_many_as_the_depth_are_not_taken_for_blocks():
    assert find_blocks(Model(blocks_of(experts=DEPTH))).path == "layers"


def test_norms_as_many_as_the_depth_are_not_taken_for_blocks():
    norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(DEPTH)])
    assert find_blocks(Model(blocks_of(), norms=norms)).path == "layers"


def test_two_lists_of_equal_standing_are_both_named():
    model = Model(blocks_of(), adapters=blocks_of())
    with pytest.raises(ModelError, match=r"layers \(3 x Block\), adapters \(3 x Block\).*blocks='\.\.\.' \(--blocks"):
        find_blocks(model)
    assert find_blocks(model, path="adapters").path == "adapters"


def test_model_without_blocks_is_told_what_it_holds_and_what_to_do():
    model = Model(blocks_of(4, experts=2), depth=7, tail=nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    with pytest.raises(ModelError) as caught:
        find_blocks(model)
    message = str(caught.value)
    for part in (
        "no list of blocks found in Model (configured depth: 7)", "layers (4 x Block)", "tail (2 x Linear or ReLU)",
        "layers.*.experts (2 x Sequential, in 4 places)", "blocks='...' (--blocks on the command line)",
    ):  # fmt: skip
        assert part in message
    with pytest.raises(ModelError, match="holds no module lists at all"):
        find_blocks(nn.Linear(2, 2))


def test_sequence_of_blocks_can_be_named():
    model = Model(nn.Sequential(*blocks_of()))
    with pytest.raises(ModelError, match=r"layers \(3 x Block\)"):
        find_blocks(model)
    assert captured(model, path="layers") == [0, 1, 2] * 2
    with pytest.raises(ModelError, match=r"no module list named 'embed' in Model \(there is a Embedding\)"):
        find_blocks(model, path="embed")
    with pytest.raises(ModelError, match=r"named 'layer' in Model \(there is nothing\).*layers \(3 x Block\)"):
        find_blocks(model, path="layer")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (lambda hidden: hidden.transpose(0, 1), r"\(5, 2, 8\), but the model was given \(batch, tokens\) = \(2, 5\)"),
        (lambda hidden: hidden.reshape(1, -1, WIDTH), r"\(1, 10, 8\), but"),
        (lambda hidden: hidden.reshape(-1, WIDTH), r"\(10, 8\) of torch.float32, expected floats of shape"),
        (lambda hidden: hidden[:, :, :4], "4 features, but takes a hidden state of 8"),
        (lambda hidden: (hidden.long(), hidden), r"\(2, 5, 8\) of torch.int64"),
        (lambda hidden: {"hidden": hidden}, "a dict, expected"),
        (lambda hidden: (hidden.new_zeros(2, 5, 5), hidden), "5 features, but takes"),
    ],
)
def test_output_that_is_no_hidden_state_is_refused(shape, message):
    with pytest.raises(ModelError, match=f"block 0 \\(Block\\) of 'layers' gives {message}"):
        captured(Model(blocks_of(shape=shape)))


@pytest.mark.parametrize("shape", [lambda hidden: (hidden, None), lambda hidden: [hidden], lambda hidden: hidden])
def test_first_tensor_of_an_output_is_the_hidden_state(shape):
    assert captured(Model(blocks_of(shape=shape)), layers=(0, 2)) == [0, 2, 0, 2]


def test_model_without_a_single_residual_stream_is_refused():
    config = transformers.ReformerConfig(vocab_size=20, hidden_size=8, attn_layers=["local"], axial_pos_embds=False)
    with pytest.raises(ModelError, match="ReformerModel is reversible: its layers keep two residual streams"):
        find_blocks(transformers.ReformerModel(config))


def test_blocks_run_out_of_order_or_twice_are_refused():
    with pytest.raises(ModelError, match=r"block 2 \(Block\) of 'layers' was run when block 1 was due"):
        captured(Model(blocks_of(), order=[0, 2, 1]))
    with pytest.raises(ModelError, match="block 2 .* was run when all blocks had been run"):
        captured(Model(blocks_of(), order=[0, 1, 2, 2]))


def test_failed_forward_pass_does_not_disturb_the_next():
    model, found = Model(blocks_of()), []
    with (
        torch.inference_mode(),
        capture_hidden_states(find_blocks(model), [0, 1, 2], lambda layer, _: found.append(layer)),
    ):
        model.order = [0, 7]
        with pytest.raises(IndexError):
            model(IDS)
        model.order = [0, 1, 2]
        model(IDS)
    assert found == [0, 0, 1, 2]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


T5 = transformers.T5Config(
    vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=3, num_decoder_layers=2, num_heads=2, decoder_start_token_id=0,
    pad_token_id=0, num_labels=2,
)  # fmt: skip
BART = {
    "vocab_size": 20, "d_model": 8, "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("model_class", "config"),
    [
        ("T5Model", T5), ("T5ForConditionalGeneration", T5), ("T5ForSequenceClassification", T5), ("T5ForQuestionAnswering", T5),
        ("BartModel", transformers.BartConfig(**BART)), ("BartForConditionalGeneration", transformers.BartConfig(**BART)),
        ("BartForSequenceClassification", transformers.BartConfig(**BART)), ("PegasusModel", transformers.PegasusConfig(**BART)),
    ],
)  # fmt: skip
def test_encoder_decoder_gives_either_stack_under_any_head(model_class, config):
    model = getattr(transformers, model_class)(config)
    encoder, both = backbone_of(model), backbone_of(model, "decoder")
    assert encoder is backbone_of(model, "encoder")
    assert encoder is model.get_encoder()
    assert len(find_blocks(encoder)) == len(find_blocks(both)) == len(find_blocks(model, stack="encoder")) == 3
    assert both.decoder is model.get_decoder()
    assert len(find_blocks(both, stack="decoder")) == len(find_blocks(model, stack="decoder")) == 2


def test_stack_that_a_model_lacks_is_refused():
    small = {
        "vocab_size": 20,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    llama = transformers.LlamaModel(transformers.LlamaConfig(**small))
    bert = transformers.BertModel(transformers.BertConfig(**small))
    half = transformers.T5EncoderModel(T5)
    for model, has, lacks in (
        (llama, "decoder", "encoder"), (bert, "encoder", "decoder"), (half, "encoder", "decoder"), (half.encoder, "encoder", "decoder")
    ):  # fmt: skip
        assert backbone_of(model, has) is model
        assert find_blocks(model, stack=has).modules == find_blocks(model).modules
        for ask in (backbone_of, lambda model, stack: find_blocks(model, stack=stack)):
            with pytest.raises(ModelError, match=f"{type(model).__name__} has no {lacks}: it has only an? {has}"):
                ask(model, lacks)


def test_decoder_of_a_pair_is_found_where_it_stands_alone():
    alone = transformers.BartForCausalLM(
        transformers.BartConfig(**{**BART, "is_decoder": True, "is_encoder_decoder": False})
    )
    assert len(find_blocks(backbone_of(alone))) == 2
    assert backbone_of(alone, "decoder") is backbone_of(alone)


IDS_PADDED = torch.tensor([[5, 6, 7, 2], [8, 2, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: transformers.T5Model(T5), [[0, 5, 6, 7], [0, 8]]),
        (
            lambda: transformers.BartModel(transformers.BartConfig(**BART, decoder_start_token_id=2)),
            [[2, 5, 6, 7], [2, 8]],
        ),
        (
            lambda: transformers.MBartModel(transformers.MBartConfig(**BART)),
            [[2, 5, 6, 7], [2, 8]],
        ),  # its last token first
    ],
)
def test_decoder_inputs_follow_the_models_own_rule(model, expected):
    given = decoder_inputs(model(), IDS_PADDED, MASK)
    assert torch.equal(given["decoder_attention_mask"], MASK)
    for row, ids in enumerate(expected):
        assert given["decoder_input_ids"][row, : len(ids)].tolist() == ids


def test_decoder_inputs_that_cannot_be_made_are_refused():
    with pytest.raises(ShapeError, match="padded on the left"):
        decoder_inputs(transformers.T5Model(T5), IDS_PADDED.flip(1), MASK.flip(1))
    with pytest.raises(ModelError, match="T5EncoderModel has no decoder"):
        decoder_inputs(transformers.T5EncoderModel(T5), IDS_PADDED, MASK)
    without = transformers.BartModel(transformers.BartConfig(**BART, decoder_start_token_id=None))
    with pytest.raises(ModelError, match="BartModel cannot shift"):
        decoder_inputs(without, IDS_PADDED, MASK)
