"""Every kind of adapter and every initialisation: the numbers of the model that was saved, twice over, or refused by name."""

import json

import pytest
import torch
from peft import PeftType

from repdrift.core.errors import ModelError
from repdrift.models import load_adapter_alone, load_backbone, resolve_model
from repdrift.weights import compare_adapter
from tests.unit.models.adapter_kinds import lora_initialisations, save_kind

pytestmark = pytest.mark.filterwarnings("ignore")  # peft warns in its own ways, once a kind

IDS = torch.arange(10).unsqueeze(0) + 3
REFUSED = {  # by what the message says of them; all others that peft can load must come out right
    "virtual tokens": {
        "PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "CARTRIDGE", "ADAPTION_PROMPT",
    },
    "mixes": {"XLORA", "POLY"},
    "second network": {"SHADOW"},
    "installed peft knows": {"BONE"},
}  # fmt: skip
REFUSED_STARTS = {
    "pissa_niter_4": "not determined by its files: peft computes layers.0.self_attn.q_proj.weight.*otherwise each time",
    "corda": r"initialisation \('corda'\) is done anew on loading, for which peft may need more than its files",
    "loftq": "loftq_config",
    "lora_ga": r"not determined by its files: its initialisation \('lora_ga'\) changed the base weights before training",
}
NO_MERGE = {"BEFT", "LILY"}  # without a bias in Llama's projections; with an input-dependent router


def hidden(model):
    with torch.no_grad():
        found = model(input_ids=IDS, output_hidden_states=True)
    return found.hidden_states


def close(one, other):
    """True if all layers agree to float32 rounding of their largest entry, some of which are in the hundreds."""
    return all(
        float((a - b).abs().max()) <= 2e-5 * max(1.0, float(a.abs().max())) for a, b in zip(one, other, strict=True)
    )


def loaded_twice(base, folder):
    """Hidden states of the adapter, loaded under two states of torch's generator; the second load is returned with them."""
    source, adapter = resolve_model(str(base)), resolve_model(str(folder))
    found = []
    for seed in (11, 12):
        torch.manual_seed(seed)
        adapted = load_adapter_alone(lambda: load_backbone(source), source, adapter)
        with adapted.tuned(0) as backbone:
            found.append(hidden(backbone))
    return found, adapted


@pytest.fixture(scope="module")
def base(tiny_llama, tmp_path_factory):
    """The tiny Llama with a language-modelling head, as adapters are trained."""
    from transformers import LlamaForCausalLM

    folder = tmp_path_factory.mktemp("base") / "llama"
    torch.manual_seed(3)
    LlamaForCausalLM.from_pretrained(tiny_llama).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", [kind.value for kind in PeftType])
def test_each_kind_is_what_was_saved_or_refused_by_name(base, tmp_path, kind):
    expected = next((words for words, kinds in REFUSED.items() if kind in kinds), None)
    if expected is not None:
        tmp_path.joinpath("adapter_config.json").write_text(
            json.dumps({"peft_type": kind, "task_type": "CAUSAL_LM", "num_virtual_tokens": 4})
        )
        with pytest.raises(ModelError, match=expected):
            loaded_twice(base, tmp_path)
        return
    saved = save_kind(base, tmp_path, kind)
    truth = hidden(saved)
    runs, adapted = loaded_twice(base, tmp_path)
    plain = hidden(load_backbone(resolve_model(str(base))))
    for run in runs:
        # The last entry has passed the final norm in both.
        assert close(run, truth)
        assert not torch.allclose(run[-1], plain[-1], atol=1e-3)
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
    if kind in NO_MERGE:
        with adapted.tuned(0) as backbone, pytest.raises(ModelError, match="which peft cannot merge"):
            compare_adapter(backbone)
        return
    with adapted.tuned(0) as backbone:
        changes = {
            (c.layer, c.module): c.change_norm for c in compare_adapter(backbone, base=resolve_model(str(base))).changes
        }
    merged = saved.merge_and_unload()
    assert close(runs[0], hidden(merged))
    for name, before in load_backbone(resolve_model(str(base))).named_parameters():
        layer = int(name.split(".")[1]) if name.startswith("layers.") else None
        change = float((merged.model.get_parameter(name).double() - before.double()).norm())
        got = changes.pop((layer, name.removeprefix(f"layers.{layer}.")), 0.0)
        assert got == pytest.approx(change, rel=1e-3, abs=1e-5), name
    assert not changes


@pytest.mark.parametrize("start", [*lora_initialisations(), "lora_ga"])
def test_each_initialisation_is_what_was_saved_or_refused_by_name(base, tmp_path, start):
    truth = None
    try:
        truth = hidden(save_kind(base, tmp_path, "LORA", init_lora_weights=start))
    except Exception:  # peft needs data, or a library, for this start: the files of one are made from a plain one
        save_kind(base, tmp_path, "LORA")
        path = tmp_path / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "init_lora_weights": start}))
    if start in REFUSED_STARTS:
        with pytest.raises(ModelError, match=REFUSED_STARTS[start]):
            loaded_twice(base, tmp_path)
        return
    runs, _ = loaded_twice(base, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
    assert truth is None or close(runs[0], truth)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("PVERA", {"sample_at_inference": True}, "draws random numbers whenever it is run"),
        ("LORA", {"alora_invocation_tokens": [1, 2]}, "acts only behind its invocation tokens"),
    ],
)
def test_kinds_that_have_no_numbers_on_any_text_are_refused(base, tmp_path, kind, options, said):
    save_kind(base, tmp_path, kind, **options)
    with pytest.raises(ModelError, match=said):
        loaded_twice(base, tmp_path)


@pytest.mark.parametrize("kind", ["VERA", "RANDLORA", "TINYLORA"])
def test_a_projection_that_was_not_saved_is_said(base, tmp_path, kind):
    saved = save_kind(base, tmp_path, kind, save_projection=False)
    runs, adapted = loaded_twice(base, tmp_path)
    assert close(runs[0], hidden(saved))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
    (note,) = adapted.notes[0]
    assert note.startswith("Not all of it is in its files: peft ")
    assert "Two loads gave the same" in note
