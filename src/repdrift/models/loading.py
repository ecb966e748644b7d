"""Loading models and tokenizers: safetensors or GGUF only, and every weight of the backbone must be there.

transformers fills a parameter that a checkpoint lacks with random numbers, and only logs it. A drift measured on such a
model would be an artefact, so a missing backbone weight is an error here.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.words import counted
from repdrift.models.adapter_configuration import sort_sets
from repdrift.models.backbone import headless
from repdrift.models.causality import require_language_model
from repdrift.models.checkpoint import DTYPES, stored_tensors, wrapper_parts
from repdrift.models.configuration import load_config, require_sizes_in_files
from repdrift.models.folder_contents import ADAPTER_CONFIG
from repdrift.models.four_bit_weights import hold_quantised_layers
from repdrift.models.gguf_file import read_gguf_header, require_all_loaded, require_loadable
from repdrift.models.loadable_folder import loadable_folder
from repdrift.models.model_files import ModelSource, read_json_object
from repdrift.models.third_party import loader_errors, quiet_transformers
from repdrift.models.unplaced_tensors import require_placed
from repdrift.models.wrapper_names import WRAPPER_PATTERNS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# A pooler turns the last block's output into one vector: it comes after every block, and many checkpoints lack it.
_HARMLESS_PARTS = ("pooler.",)


_INTEGERS = ("I8", "U8", "I16", "I32")


class MissingWeightsError(ModelError):
    """A checkpoint lacks weights of the model.

    only_head: all of them belong to its head, and none to the backbone. lacking: how many, and of which class, in words.
    """

    only_head = False
    lacking = ""


def load_tokenizer(source: ModelSource) -> PreTrainedTokenizerBase:
    """Load the tokenizer in `source`; if it has no padding token, its end-of-text token is used for padding.

    Raises ModelError if there is no tokenizer, it cannot be read, or it has no vocabulary: without its files transformers makes
    one that knows special tokens alone, and every text becomes a row of unknown tokens.
    """
    from transformers import AutoTokenizer

    where, step = str(source.path), "Save one there with save_pretrained."
    options: dict[str, Any] = {}
    if source.gguf_file and not source.has_tokenizer_files:
        options["gguf_file"] = source.gguf_file
        where, step = str(source.path / source.gguf_file), "Put the files of the model's tokenizer beside it."
        read_gguf_header(source.path / source.gguf_file)  # says what is wrong with a damaged file
    elif (source.path / "config.json").is_file():
        read_json_object(
            source.path / "config.json"
        )  # transformers looks there too, and blames the tokenizer for its faults
    if _tokenizer_code(source):
        step = (
            "Its folder names code of its own, which is never run. Save it with a tokenizer class of transformers, or take auto_map out "
            "of tokenizer_config.json if the code does nothing that tokenizer.json lacks."
        )
    with loader_errors(f"no tokenizer could be loaded from {where}", step), quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(source.path, trust_remote_code=False, **options)
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(
            f"no tokenizer could be loaded from {where}: its vocabulary is missing (tokenizer.json, vocab.txt or "
            f"tokenizer.model), so that it knows special tokens alone ({len(tokenizer)}). {step}"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_backbone(source: ModelSource, *, dtype: str = "float32") -> PreTrainedModel:
    """Load the model without a task head (AutoModel), in evaluation mode, on the CPU.

    dtype: one of `DTYPES`. Raises ModelError if the files cannot be read; MissingWeightsError if they lack any weight of the
    embeddings or blocks.
    """
    from transformers import AutoModel

    return _load(AutoModel, source, dtype, allow_new=_HARMLESS_PARTS).eval()


def load_tuned_backbone(source: ModelSource, *, dtype: str = "float32") -> nn.Module:
    """Load a full fine-tune without its head, whatever head it was saved with, in evaluation mode, on the CPU.

    dtype: one of `DTYPES`. Raises ModelError if the files cannot be read; MissingWeightsError if they lack any weight of the
    embeddings or blocks.
    """
    try:
        return load_backbone(source, dtype=dtype)
    except MissingWeightsError:
        # Some heads name the backbone in their own way: load the class that was saved, and take its backbone.
        import transformers

        named = read_json_object(source.path / "config.json").get("architectures") or [None]
        saved_class = getattr(transformers, str(named[0]), None)
        if not (isinstance(saved_class, type) and issubclass(saved_class, transformers.PreTrainedModel)):
            raise
        return headless(_load(saved_class, source, dtype, allow_new=_HARMLESS_PARTS)).eval()


def load_task_model(
    source: ModelSource, task_kind: str, *, num_labels: int | None = None, dtype: str = "float32"
) -> PreTrainedModel:
    """Load the model with a head for `task_kind`; if `source` has no such head, it is drawn from torch's generator.

    task_kind: `classification`, which needs num_labels, `extractive_qa` or `causal_lm`. The head of `causal_lm` is the model's own, and is
    never drawn. dtype: one of `DTYPES`.
    Raises ModelError if the files cannot be read, a weight of the backbone is missing, or the model cannot do `causal_lm`.
    """
    from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification

    if task_kind == "causal_lm":
        return _load_language_model(source, dtype)
    if task_kind == "classification":
        auto_class, labels = AutoModelForSequenceClassification, num_labels
    else:
        auto_class, labels = AutoModelForQuestionAnswering, None
    try:
        model = _load(auto_class, source, dtype, allow_new=None, num_labels=labels)
    except MissingWeightsError:
        # Some heads name the backbone in their own way (Llama's question answering says "transformer", its checkpoints
        # say "model"): load the backbone by itself and put the head on it.
        model = _headed(auto_class, load_backbone(source, dtype=dtype), labels)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = model.config.eos_token_id
    return model


def load_whole(source: ModelSource, auto_class: Any, *, dtype: str = "float32") -> PreTrainedModel:
    """Load the model in a class that has a head, in evaluation mode, on the CPU; no weight may be absent from the files.

    auto_class: one of transformers' auto classes. dtype: one of `DTYPES`.
    Raises ModelError if the files cannot be read; MissingWeightsError if they lack any weight, whose `only_head` tells whether that is
    of the head alone.
    """
    return _load(auto_class, source, dtype, allow_new=()).eval()


def _load_language_model(source: ModelSource, dtype: str) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    require_language_model(load_config(source), source.ref)
    try:
        return _load(AutoModelForCausalLM, source, dtype, allow_new=())
    except MissingWeightsError as error:
        raise MissingWeightsError(
            f"{error} A model that learns to continue texts needs its own head for the next token: give the folder that was saved with "
            "it (AutoModelForCausalLM)."
        ) from error


def _load(
    auto_class: Any,
    source: ModelSource,
    dtype: str,
    *,
    allow_new: tuple[str, ...] | None,
    num_labels: int | None = None,
) -> PreTrainedModel:
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    config = load_config(source)
    options = _loader_options(source, quantised=getattr(config, "quantization_config", None) is not None)
    if num_labels is not None:
        config.num_labels = num_labels
    with (
        loadable_folder(source) as folder,
        loader_errors(f"cannot load {source.ref!r} from {source.path}", _next_step(config)),
        quiet_transformers(),
    ):
        model, info = auto_class.from_pretrained(
            folder,
            config=config,
            output_loading_info=True,
            dtype=DTYPES[dtype],
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            **options,
        )
    model.config.name_or_path = model.name_or_path = str(source.path)
    prefix = f"{model.base_model_prefix}." if auto_class.__name__ != "AutoModel" else ""
    new = sorted(_names(info["missing_keys"]))
    absent = [n for n in new if n.startswith(prefix) and not n.removeprefix(prefix).startswith(_HARMLESS_PARTS)]
    if allow_new is not None:
        absent = [n for n in new if not n.startswith(allow_new)]
    if info["mismatched_keys"]:
        raise ModelError(_other_shapes(source, model, sorted(info["mismatched_keys"], key=str)))
    if absent:
        error = MissingWeightsError(
            f"{source.path} lacks {len(absent)} weights of {type(model).__name__}: {', '.join(absent[:4])}. They would be random "
            f"numbers. Get the complete checkpoint.{_where_they_may_be(absent, sorted(_names(info['unexpected_keys'])))}"
        )
        error.lacking = f"they lack {counted(len(absent), 'weight')} of {type(model).__name__} ({', '.join(absent[:2])}{', ...' * (len(absent) > 2)})"
        error.only_head = bool(prefix) and not any(name.startswith(prefix) for name in absent)
        raise error
    if getattr(config, "quantization_config", None) is not None:
        hold_quantised_layers(model, str(source.path))
    else:  # quantisers have tensors of their own
        require_placed(model, _names(info["unexpected_keys"]), str(source.path))
    if source.gguf_file:
        _forget_quantisation(model)
        loaded = sum(parameter.numel() for parameter in headless(model).parameters())
        require_all_loaded(read_gguf_header(source.path / source.gguf_file), loaded)
    return model


def _loader_options(source: ModelSource, *, quantised: bool) -> dict[str, Any]:
    """The options for transformers' loader. Raises ModelError for files from which it would make something else."""
    if source.gguf_file:
        require_loadable(read_gguf_header(source.path / source.gguf_file))
        return {"gguf_file": source.gguf_file}
    tensors = stored_tensors(source)  # says what is wrong with damaged, empty and unmerged checkpoints
    require_sizes_in_files(source, max(max(tensor.shape, default=1) for tensor in tensors.values()))
    packed = next((t for t in tensors.values() if t.name.endswith("weight") and t.stored_dtype in _INTEGERS), None)
    if packed is not None and not quantised:
        raise ModelError(
            f"{source.path}: tensor {packed.name} is stored as {packed.stored_dtype}, whole numbers, and config.json names no "
            "quantisation by which they would become weights. Copy config.json as well, or give a copy that was saved dequantised."
        )
    options: dict[str, Any] = {"use_safetensors": True}
    if wrapper_parts(source):
        options["key_mapping"] = dict.fromkeys(WRAPPER_PATTERNS, "")
    return options


def _other_shapes(source: ModelSource, model: PreTrainedModel, mismatched: list[Any]) -> str:
    shown = [
        f"{key[0]} is {tuple(key[1])} in the files, and {tuple(key[2])} by config.json"
        if isinstance(key, tuple) and len(key) == 3
        else str(key)
        for key in mismatched[:3]
    ]
    return (
        f"{source.path}: {len(mismatched)} weights have another shape than {type(model).__name__} has by its configuration: "
        f"{'; '.join(shown)}. Do configuration and weights belong together?"
    )


def _where_they_may_be(absent: list[str], unexpected: list[str]) -> str:
    """Names the prefix under which the absent weights are in the files; "" if they are not there."""
    prefixes = {name.removesuffix(absent[0]) for name in unexpected if name.endswith(f".{absent[0]}")}
    if len(prefixes) != 1:
        return ""
    return f" The files have them under the prefix {prefixes.pop()!r}: save them again without it."


def _next_step(config: Any) -> str:
    quantised = getattr(config, "quantization_config", None)
    if quantised is None:
        return ""
    method = quantised.get("quant_method") if isinstance(quantised, dict) else getattr(quantised, "quant_method", None)
    return f"Its weights are quantised ({method}): install what that takes, or give a copy that was saved dequantised."


def _tokenizer_code(source: ModelSource) -> bool:
    path = source.path / "tokenizer_config.json"
    return path.is_file() and bool(read_json_object(path).get("auto_map"))


def _headed(auto_class: Any, backbone: PreTrainedModel, num_labels: int | None) -> PreTrainedModel:
    config = copy.deepcopy(backbone.config)
    if num_labels is not None:
        config.num_labels = num_labels
    model = auto_class.from_config(config, dtype=backbone.dtype, trust_remote_code=False)
    missing, unexpected = headless(model).load_state_dict(backbone.state_dict(), strict=False)
    wrong = [name for name in (*missing, *unexpected) if not name.startswith(_HARMLESS_PARTS)]
    if wrong:
        raise ModelError(
            f"{type(model).__name__} does not fit the backbone {type(backbone).__name__}: {', '.join(wrong[:4])}"
        )
    return model


def _forget_quantisation(model: PreTrainedModel) -> None:
    """Remove the marks of quantisation from a model whose weights were dequantised on loading.

    Because of these marks transformers would refuse to train and to save the model.
    """
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config  # pyright: ignore[reportAttributeAccessIssue]
    for mark in ("is_quantized", "quantization_method", "hf_quantizer"):
        if hasattr(model, mark):
            setattr(model, mark, False if mark == "is_quantized" else None)


def _names(keys: Any) -> list[str]:
    return [key if isinstance(key, str) else str(key[0]) for key in keys]


def save_model(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights (safetensors), config and tokenizer to `folder`, as transformers or peft lay them out."""
    with quiet_transformers():
        # Safetensors is the only format that transformers 5 and peft write. Left to itself, peft asks the hub whether the base model
        # has as many tokens; no kind of tuning adds any.
        tables = {"save_embedding_layers": _adapts_embedding(model)} if _is_peft_model(model) else {}
        model.save_pretrained(folder, **tables)
        tokenizer.save_pretrained(folder)
    if tables:
        sort_sets(folder / ADAPTER_CONFIG)
    # peft's card has no content but the base model's path, which would be markup for whoever shows the card.
    (folder / "README.md").unlink(missing_ok=True)


def _is_peft_model(model: nn.Module) -> bool:
    from peft import PeftModel

    return isinstance(model, PeftModel)


def _adapts_embedding(model: nn.Module) -> bool:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return any(isinstance(m, BaseTunerLayer) and isinstance(m.get_base_layer(), nn.Embedding) for m in model.modules())
