"""What `extract` takes: every form of the inputs and of the model gives what the model gives when it is called directly."""

import warnings
from typing import Any

import accelerate
import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from repdrift.core.errors import DataError, ModelError, ShapeError
from repdrift.extraction import RepresentationExtractor, extract
from repdrift.extraction.model_inputs import sample_set_of
from repdrift.models import load_backbone, load_tokenizer, resolve_model

IDS = torch.arange(4, 39).reshape(5, 7)
MASK = torch.ones_like(IDS)
HOLES = torch.tensor(
    [[1, 1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0, 1], [1, 1, 1, 0, 1, 0, 0], [0, 0, 1, 0, 1, 1, 1]]
)


@pytest.fixture(params=["tiny_bert", "tiny_llama"])
def backbone(request):
    return load_backbone(resolve_model(str(request.getfixturevalue(request.param))))


@pytest.fixture
def bert(tiny_bert):
    return load_backbone(resolve_model(str(tiny_bert)))


def _directly(model: Any, ids, mask, **more):
    """Mean representations of layers 0 and 1, each row called by itself from its first token to its last that is read."""
    means: dict[str, list] = {"layer_0": [], "layer_1": []}
    for row in range(len(ids)):
        read = np.flatnonzero(np.asarray(mask[row]))
        span = slice(int(read[0]), int(read[-1]) + 1)
        inputs = {
            "input_ids": ids[row][span],
            "attention_mask": mask[row][span],
            **{k: v[row][span] for k, v in more.items()},
        }
        with torch.no_grad():
            found = model(**{k: torch.as_tensor(v).long()[None] for k, v in inputs.items()}, output_hidden_states=True)
        kept = torch.as_tensor(mask[row][span]).bool()
        for layer in (0, 1):
            means[f"layer_{layer}"].append(found.hidden_states[layer + 1][0][kept].double().mean(0))
    return {name: torch.stack(rows).float() for name, rows in means.items()}


def _same(found, expected, tolerance=2e-6):
    for name, values in expected.items():
        assert torch.allclose(found[name].float(), values, atol=tolerance), name


FORMS = {
    "int32": lambda x: x.to(torch.int32), "uint8": lambda x: x.to(torch.uint8), "list": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(), "numpy int16": lambda x: x.numpy().astype(np.int16), "tuples": lambda x: tuple(map(tuple, x.tolist())),
    "list of tensors": list, "list of arrays": lambda x: list(x.numpy()),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_ids_and_masks(backbone, form):
    expected = _directly(backbone, IDS, HOLES)
    _same(extract(backbone, {"input_ids": FORMS[form](IDS), "attention_mask": FORMS[form](HOLES)}), expected)


@pytest.mark.parametrize("kind", [torch.bool, torch.float32, torch.bfloat16, torch.float16])
def test_every_type_of_a_mask(bert, kind):
    _same(extract(bert, {"input_ids": IDS, "attention_mask": HOLES.to(kind)}), _directly(bert, IDS, HOLES))


def test_masked_tokens_in_the_middle_keep_positions_in_any_batches(backbone):
    inputs = {"input_ids": IDS, "attention_mask": HOLES}
    expected = _directly(backbone, IDS, HOLES)
    for budget in (1, 9, 1000):
        _same(extract(backbone, inputs, token_budget=budget), expected)
    squeezed = [row[mask.bool()].tolist() for row, mask in zip(IDS, HOLES, strict=True)]
    assert not torch.allclose(extract(backbone, {"input_ids": squeezed})["layer_0"], expected["layer_0"], atol=1e-3)
    tokens = extract(backbone, inputs, pooling="tokens")["layer_0"]
    assert tokens.shape[0] == int(HOLES.sum())
    first = RepresentationExtractor(backbone, pooling="last").extract(inputs)
    assert torch.equal(first[0][1], tokens[int(HOLES[0].sum()) + int(HOLES[1].sum()) - 1])


def test_samples_with_the_same_tokens_but_other_gaps_have_other_fingerprints():
    one, other = (
        sample_set_of({"input_ids": [[5, 6, 7, 8]], "attention_mask": [mask]}) for mask in ([1, 0, 1, 1], [1, 1, 0, 1])
    )
    assert one.fingerprint != other.fingerprint
    assert one.part([0]).fingerprint == one.fingerprint


def test_position_ids_are_the_callers(backbone):
    positions = torch.arange(7).repeat(5, 1) * 3
    inputs = {"input_ids": IDS, "attention_mask": MASK, "position_ids": positions}
    _same(extract(backbone, inputs, token_budget=10), _directly(backbone, IDS, MASK, position_ids=positions))


def test_position_ids_beyond_the_table_or_not_taken_are_refused(bert):
    positions = torch.arange(7).repeat(5, 1) + 60
    with pytest.raises(DataError, match=r"token 4 of sample '0' has position 64; BertModel has rows for 64"):
        extract(bert, {"input_ids": IDS, "position_ids": positions})
    from transformers import T5Config, T5EncoderModel

    t5 = T5EncoderModel(T5Config(vocab_size=60, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2))
    with pytest.raises(DataError, match="takes no position_ids"):
        extract(t5, {"input_ids": IDS, "position_ids": positions})


def test_what_a_tokenizer_gives_is_taken_as_it_is(bert, tiny_bert):
    tokenizer = load_tokenizer(resolve_model(str(tiny_bert)))
    texts, others = ["the cat", "a dog ran", "the bird flew"], ["sat on the tree", "sat", "a red house"]
    padded = tokenizer(
        texts, others, padding=True, return_tensors="pt", return_special_tokens_mask=True, return_length=True
    )
    expected = _directly(bert, padded["input_ids"], padded["attention_mask"], token_type_ids=padded["token_type_ids"])
    _same(extract(bert, padded), expected)
    _same(extract(bert, tokenizer(texts, others, return_offsets_mapping=True)), expected)  # lists, not padded
    _same(extract(bert, {"labels": [0, 1, 1], **tokenizer(texts, others)}), expected)
    tokenizer.padding_side = "left"
    _same(extract(bert, tokenizer(texts, others, padding=True, return_tensors="np")), expected)


def test_without_a_mask_all_tokens_are_read_and_likely_padding_is_said(bert):
    _same(extract(bert, IDS), _directly(bert, IDS, MASK))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extract(bert, [[5, 6, 7], [8, 9]])
    with pytest.warns(UserWarning, match=r"no attention_mask.*1 rows \(the first: 1\) begin or end with token 0"):
        padded = extract(bert, {"input_ids": [[5, 6, 7], [8, 9, 0]]})
    _same(padded, _directly(bert, [torch.tensor(r) for r in ([5, 6, 7], [8, 9, 0])], torch.ones(2, 3)))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"input_ids": [["the", "cat"]]}, "row 0 holds"),
        (["the cat"], "row 0 is a text; give token ids"),
        ({"input_ids": [5, 6, 7]}, r"should be \(n, t\), got \(3,\); one sample is"),
        ({"input_ids": torch.tensor([5, 6])}, r"should be \(n, t\), got \(2,\)"),
        ({"input_ids": [[5.0, 6.0]]}, "should hold whole numbers, got float64 in row 0"),
        ({"input_ids": [[5, 6], [7, -100]]}, "input_ids, row 1, token 1 is -100"),
        ({"input_ids": [[5, 2**33]]}, "token 1 is 8589934592"),
        ({"input_ids": IDS, "attention_mask": torch.where(MASK == 1, 0.0, -1e9)}, "row 0 has none"),
        ({"input_ids": IDS, "attention_mask": torch.where(IDS > 9, 0.0, -1e9)}, "holds -1000000000.0; 1 is on tokens that are read"),
        ({"input_ids": IDS, "global_attention_mask": MASK}, "'global_attention_mask', which is not read"),
        ({"inputs_embeds": torch.ones(2, 3, 16)}, "lack 'input_ids'; they have inputs_embeds"),
        ({"input_ids": [[5, 6], [7]], "attention_mask": [[1, 1], [1, 1]]}, r"got \(2, 1 to 2\) and \(2, 2\)"),
        ({"input_ids": [[5, 6], []]}, "row 1 has none"),
        ({"input_ids": []}, "there are no rows"),
        ({"input_ids": [[5, 60]]}, r"token 1 of sample '0' is id 60, and the embedding of BertModel has 60 rows, for ids 0 to 59"),
        ({"input_ids": [[5, 6]], "token_type_ids": [[0, 2]]}, r"has token type 2; BertModel knows 2 \(0 to 1\)"),
        ({"input_ids": [[5] * 65]}, "sample '0' has 65 tokens, the model takes 64"),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_read_are_named(bert, inputs, said):
    with pytest.raises((DataError, ShapeError), match=said):
        extract(bert, inputs)


def test_sample_that_is_too_short_for_the_pooling_has_the_callers_number(bert):
    with pytest.raises(DataError, match=r"sample '1' has 1 token\(s\); pooling 'mean_skip_first' needs 2"):
        extract(bert, [[5, 6, 7, 8], [5], [6, 7]], pooling="mean_skip_first")


def test_model_in_a_wrapper_and_in_training_stays_as_it_was(tiny_llama):
    model: Any = load_backbone(resolve_model(str(tiny_llama)))
    expected = _directly(model, IDS, HOLES)
    inputs = {"input_ids": IDS, "attention_mask": HOLES}
    model.train()
    model.layers[1].eval()
    before = [module.training for module in model.modules()]
    wrappers: list[Any] = [torch.compile(model), torch.nn.DataParallel(model)]
    for wrapped in wrappers:
        _same(extract(wrapped, inputs), expected)
    assert [module.training for module in model.modules()] == before
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], lora_dropout=0.5))
    assert adapted.training
    _same(extract(adapted, inputs), expected)  # B is zero
    assert adapted.training


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_precision_of_the_model_is_kept(bert, dtype):
    model = bert.to(dtype)
    found = extract(model, {"input_ids": IDS, "attention_mask": HOLES}, token_budget=1)
    tolerance = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float64: 2e-6}[dtype]
    _same(found, _directly(model, IDS, HOLES), tolerance)
    assert next(model.parameters()).dtype == dtype


@pytest.mark.parametrize("where", ["memory", "disk", "one part on the disk"])
def test_offloaded_weights_are_loaded_as_the_model_asks(tiny_llama, tmp_path, where):
    inputs = {"input_ids": IDS, "attention_mask": HOLES}
    model = load_backbone(resolve_model(str(tiny_llama)))
    expected = _directly(model, IDS, HOLES)
    if where == "memory":
        model = accelerate.cpu_offload(model, torch.device("cpu"))
    elif where == "disk":
        model = accelerate.disk_offload(model, str(tmp_path), torch.device("cpu"))
    else:
        parts = {"embed_tokens": "disk", "layers": "cpu", "norm": "cpu", "rotary_emb": "cpu"}
        model = accelerate.dispatch_model(model, parts, main_device="cpu", offload_dir=str(tmp_path))
    _same(extract(model, inputs), expected)


def test_model_without_weights_is_refused(tiny_llama):
    from transformers import AutoConfig, AutoModel

    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.from_pretrained(tiny_llama))
    with pytest.raises(ModelError, match="no weights in memory"):
        extract(model, {"input_ids": IDS})


def test_padding_token_inside_a_text_is_what_the_model_makes_of_it():
    """RoBERTa counts positions by token ids: a padding token inside a text has the padding's position."""
    from transformers import RobertaConfig, RobertaModel

    torch.manual_seed(0)
    model = RobertaModel(
        RobertaConfig(
            vocab_size=60, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=12, pad_token_id=1,
        )
    ).eval()  # fmt: skip
    ids = torch.tensor([[5, 1, 7, 8, 9, 10, 11, 12, 13, 14], [5, 6, 1, 1, 7, 0, 0, 0, 0, 0]])
    mask = torch.tensor([[1] * 10, [1] * 5 + [0] * 5])
    _same(extract(model, {"input_ids": ids, "attention_mask": mask}), _directly(model, ids, mask))


def test_a_mapping_for_each_sample_is_taken(backbone):
    masks = [row.astype(bool) for row in MASK.numpy()]
    whole = extract(backbone, {"input_ids": IDS, "attention_mask": MASK}, "mean")
    lists = [{"input_ids": ids.tolist(), "attention_mask": mask.tolist()} for ids, mask in zip(IDS, masks, strict=True)]
    tensors = [
        {"input_ids": ids[None], "attention_mask": torch.ones(1, 7)} for ids in IDS
    ]  # one text, return_tensors="pt"
    for given in (lists, tensors, [ids[None] for ids in IDS]):
        assert all(torch.equal(whole[name], rows) for name, rows in extract(backbone, given, "mean").items())
    with pytest.raises(ShapeError, match="sample 0 has attention_mask, input_ids, sample 1 has input_ids"):
        extract(backbone, [lists[0], {"input_ids": [4, 5]}], "mean")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_dynamically_quantised_sample_does_not_depend_on_its_companions(bert):
    quantised = torch.ao.quantization.quantize_dynamic(bert.eval(), {torch.nn.Linear}, dtype=torch.qint8)
    rows = [IDS[0].tolist(), IDS[1, :2].tolist(), IDS[2, :4].tolist(), IDS[3].tolist()]
    together = extract(quantised, rows, "mean")
    for number, row in enumerate(rows):
        with torch.no_grad():
            states = quantised(torch.tensor([row]), output_hidden_states=True).hidden_states
        for layer, hidden in enumerate(states[1:]):
            torch.testing.assert_close(together[f"layer_{layer}"][number], hidden[0].mean(0))


@pytest.mark.parametrize("model", [None, "some/model", torch.nn.Linear])
def test_what_is_no_loaded_model_is_named(model):
    with pytest.raises(ModelError, match="model should be a loaded model, got"):
        extract(model, IDS, "mean")
