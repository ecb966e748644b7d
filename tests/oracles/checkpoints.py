"""Small checkpoints of many architectures, and their blocks' outputs by either schedule."""

import torch
import transformers

from repdrift.batches.batching import BatchPlan
from repdrift.extraction.layer_major import run_layer_major
from repdrift.extraction.model_inputs import sample_set_of
from repdrift.models import quiet_transformers, resolve_model
from repdrift.models.lazy_model import load_lazy_model
from tests.oracles.architectures import ALBERT, ARCHITECTURES, ENCODER_DECODERS, model_of

LENGTHS = (9, 4, 13, 2, 7, 13)
FAMILIES = {**ARCHITECTURES, "albert": ALBERT, **ENCODER_DECODERS}


def tiny_model(family, auto_class=transformers.AutoModel, **fields):
    """A random float32 model of one family. fields: what differs from its usual configuration."""
    return model_of(FAMILIES[family], auto_class, **fields).float()


def a_few_batches():
    """Six samples of unlike length, in several batches."""
    g = torch.Generator().manual_seed(0)
    ids = torch.zeros((len(LENGTHS), max(LENGTHS)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(4, 40, (length,), generator=g)
        mask[row, :length] = 1
    return BatchPlan(sample_set_of({"input_ids": ids, "attention_mask": mask}), token_budget=30)


def saved(folder, model, *, shard="8KB"):
    with quiet_transformers():
        model.save_pretrained(folder, max_shard_size=shard)
    return resolve_model(str(folder))


def layer_major(source, batches, *, layers=None, **options):
    """Hidden states by layer and batch number, zero on padding. options: of `load_lazy_model`."""
    lazy_model = load_lazy_model(source, **options)
    found = {}

    def keep(layer, batch, hidden):
        found[layer, batch.number] = hidden.clone() * batch.inputs["attention_mask"][:, :, None]

    run_layer_major(lazy_model, batches, lazy_model.blocks.select(layers), keep)
    return found


def sample_major(model, batches, modules):
    """Hidden states by layer and batch number, zero on padding: by plain hooks, one forward pass a batch."""
    found = {}
    outputs = []
    runner = model.get_encoder() if model.config.is_encoder_decoder else model

    def keep(_module, _inputs, output):
        hidden = output[0] if isinstance(output, tuple) else output
        outputs.append(hidden.transpose(0, 1) if model.config.model_type == "xlnet" else hidden)

    hooks = [module.register_forward_hook(keep) for module in dict.fromkeys(modules)]
    with torch.inference_mode():
        for batch in batches:
            outputs.clear()
            runner(**batch.inputs)
            for layer, hidden in enumerate(outputs):
                found[layer, batch.number] = hidden * batch.inputs["attention_mask"][:, :, None]
    for hook in hooks:
        hook.remove()
    return found


def blocks_of(model, family):
    """The modules whose outputs are the hidden states after each block."""
    if family == "deberta_v2_conv":  # the stream goes through a convolution behind the first block
        return [model.encoder.conv, *model.encoder.layer[1:]]
    stack = model.encoder if family in ENCODER_DECODERS else model
    return list(stack.get_submodule(FAMILIES[family].blocks))


def assert_same(found, expected, atol=1e-5):
    assert found.keys() == expected.keys()
    for key, hidden in found.items():
        torch.testing.assert_close(hidden, expected[key], atol=atol, rtol=1e-5)
