"""PEFT adapters on a model: one on a model with its task head, or several on one copy of the base weights without head.

The head that an adapter was trained with does not change the hidden states, so where none is needed none is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models.adapter_contents import (
    Arrived,
    Place,
    absent_from,
    adapter_state,
    listed,
    not_in_files,
    not_whole,
    require_arrived,
    spoil,
    still_spoilt,
    unexplained,
)
from repdrift.models.adapter_files import (
    PEFT_PREFIX,
    adapter_config,
    adapter_tensors,
    base_tensor_named,
    initialisation_changes_base,
    renamed,
)
from repdrift.models.adapter_vocabulary import resize_vocabulary
from repdrift.models.base_weights import BaseWeights, without_wrappers
from repdrift.models.blocks import is_linear
from repdrift.models.loading import load_task_model
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import loader_errors, quiet_transformers
from repdrift.models.trained_on import trained_on_notes


class AdaptersDoNotFitError(ModelError):
    """Some of several adapters cannot be put on a base model. faults: why, by the adapter's number."""

    def __init__(self, faults: dict[int, str]) -> None:
        super().__init__(next(iter(faults.values())))
        self.faults = faults


@dataclass
class AdaptedBase:
    """A backbone that carries several adapters, of which at most one is on at a time.

    backbone: the base model, inside which the adapters lie. notes: for each adapter, sentences that change how its numbers
    are to be read (trained on another base model or revision, a head that takes no part). made_up: for each adapter, the
    tensors that it uses and that its files do not hold, by name. written: for each adapter, the names of the base model's
    tensors that its files replaced. weights: what the base model was before. model: peft's, around the backbone.
    """

    backbone: nn.Module
    notes: list[list[str]]
    made_up: list[dict[str, Tensor]]
    written: list[set[str]]
    weights: BaseWeights
    model: Any = None

    def is_plain(self, number: int) -> bool:
        """True if the adapter is LoRA that adds a product of two matrices to each adapted weight, and nothing else."""
        from peft import PeftType
        from peft.tuners.lora.layer import LoraLayer

        layers = (module for module in self.backbone.modules() if isinstance(module, LoraLayer))
        return self.model.peft_config[_name(number)].peft_type == PeftType.LORA and not any(
            _name(number) in layer.lora_variant for layer in layers
        )

    @contextmanager
    def base(self) -> Generator[nn.Module]:
        """The backbone with every adapter off, inside the `with` block.

        It is the base model only where `weights` tells of no change.
        """
        self.model.base_model.disable_adapter_layers()
        try:
            yield self.backbone
        finally:
            self.model.base_model.enable_adapter_layers()

    @contextmanager
    def tuned(self, number: int) -> Generator[nn.Module]:
        """The backbone with adapter `number` on; 0 is the first one given to `load_adapters`."""
        self.model.set_adapter(_name(number), inference_mode=True)
        yield self.backbone


def load_adapted(
    base: ModelSource, adapter: ModelSource, task_kind: str, *, num_labels: int | None = None, dtype: str = "float32"
) -> nn.Module:
    """Load `base` with a head for `task_kind` and the PEFT adapter on it, active and unmerged, in evaluation mode.

    task_kind, num_labels: as for `load_task_model`.
    Raises ModelError if any tensor of the adapter's files did not arrive in the model, or its files lack one.
    """
    model = load_task_model(base, task_kind, num_labels=num_labels, dtype=dtype)
    return put_adapter(model, base, adapter)


def put_adapter(model: nn.Module, base: ModelSource, adapter: ModelSource) -> nn.Module:
    """Put the PEFT adapter on `model`, the base model with the head that it was trained with; active, unmerged, in evaluation mode.

    Raises ModelError if any tensor of the adapter's files did not arrive in the model, or its files lack one.
    """
    from peft import MODEL_TYPE_TO_PEFT_MODEL_MAPPING, PeftModel

    config, tensors = adapter_config(adapter), adapter_tensors(adapter)
    kind: Any = MODEL_TYPE_TO_PEFT_MODEL_MAPPING.get(config.task_type, PeftModel)
    with loader_errors(_no_fit(adapter, base), _next_step(config)), quiet_transformers():
        resize_vocabulary(model, tensors)
        adapted = kind(model, config, adapter_name="default")
        _fill(adapted, tensors, "default", Place(model, ""), adapter)
    return adapted.eval()


def load_adapters(backbone: nn.Module, base: ModelSource, adapters: Sequence[ModelSource]) -> AdaptedBase:
    """Put `adapters` on `backbone`, the loaded base model without head, which is changed in place.

    The files of a single adapter may hold an embedding with another number of rows, which the backbone then gets.
    Raises AdaptersDoNotFitError, a ModelError, with the reason for every adapter whose files cannot be read or that names other
    modules than the backbone has, before anything is put on; else for the first that does not fit: its modules have another
    shape, a tensor of its files did not arrive, or one that its configuration calls for is not in them. The backbone is of no
    use then.
    """
    read: list[tuple[Any, dict[str, Tensor], Place]] = []
    faults: dict[int, str] = {}
    for number, source in enumerate(adapters):
        try:
            config = adapter_config(source)
            if config.is_prompt_learning:
                raise ModelError(
                    f"the adapter in {source.path} is a learned prompt: its virtual tokens stand before the text, and not inside the "
                    "model's modules. Load it with load_prompted."
                )
            tensors = adapter_tensors(source)
            read.append((config, tensors, Place(backbone, _prefix_of(tensors, backbone, source, base))))
        except ModelError as error:
            faults[number] = str(error)
    usual = Counter(place.prefix for _, _, place in read).most_common(1)
    for number, (_, _, place) in enumerate(read if not faults else ()):
        if place.prefix != usual[0][0]:  # peft holds all adapters in one model, in which every module has one name
            faults[number] = (
                f"its files call the backbone {place.prefix or 'nothing'!r}, and those of other adapters call it {usual[0][0] or 'nothing'!r}"
            )
    if faults:
        raise AdaptersDoNotFitError(faults)
    # The base model's copy is used alone where an adapter's files hold a weight of it.
    resized = resize_vocabulary(backbone, read[0][1]) if len(adapters) == 1 else None
    weights = BaseWeights(backbone)
    found = AdaptedBase(backbone, [], [], [], weights)
    for number, (source, (config, tensors, place)) in enumerate(zip(adapters, read, strict=True)):
        try:
            with loader_errors(_no_fit(source, base), _next_step(config)), quiet_transformers():
                found.model = _inject(found.model, config, number, place)
                arrived = _fill(found.model, tensors, _name(number), place, source)
        except ModelError as error:
            raise AdaptersDoNotFitError({number: str(error)}) from error
        found.made_up.append(not_in_files(found.model, _name(number), arrived.loaded, weights))
        found.written.append(arrived.written)
        found.notes.append(
            [
                *trained_on_notes(config, base),
                *([resized] if resized else []),
                *_head_notes(config, arrived.elsewhere, place.prefix),
            ]
        )
    found.model.to(next(backbone.parameters()).device).eval()
    return found


def under_prefix(backbone: nn.Module, prefix: str) -> nn.Module:
    """Returns `backbone` inside empty modules, so that its parts have the names that an adapter was trained with.

    prefix: the name of the backbone inside that model, for example "model"; "" leaves it as it is.
    """
    for part in reversed(prefix.split(".") if prefix else []):
        outer = _Named(part)
        outer.add_module(part, backbone)
        outer.config = getattr(backbone, "config", None)  # pyright: ignore[reportArgumentType] - peft reads it
        backbone = outer
    return backbone


class _Named(nn.Module):
    """Holds one module under a name; never called. peft asks some models (mixtures of experts) for the name.

    Where an adapter trained rows of the embedding, peft asks for the module that has them.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.base_model_prefix = name

    def get_input_embeddings(self) -> nn.Module:
        return getattr(self, self.base_model_prefix).get_input_embeddings()


def _inject(model: Any, config: Any, number: int, place: Place) -> Any:
    from peft import PeftModel

    if getattr(config, "target_modules", None) == "all-linear":
        config.target_modules = _all_linear(place)
    if isinstance(rows := getattr(config, "trainable_token_indices", None), dict):
        config.trainable_token_indices = {k: v for k, v in rows.items() if _has_module(place.backbone, k)}
    if model is None:
        return PeftModel(under_prefix(place.backbone, place.prefix), config, adapter_name=_name(number))  # pyright: ignore[reportArgumentType]
    model.add_adapter(_name(number), config)
    return model


def _has_module(backbone: nn.Module, name: str) -> bool:
    """True if the backbone has a module whose name ends in the same part; it has no head, for example."""
    last = name.rpartition(".")[2]
    return any(own.rpartition(".")[2] == last for own, _ in backbone.named_modules())


def _all_linear(place: Place) -> set[str]:
    """The names of all linear modules in the backbone, which peft looks for in whole models of transformers only."""
    before = f"{place.prefix}." if place.prefix else ""
    return {before + name for name, m in place.backbone.named_modules() if is_linear(m)}


def _fill(model: Any, tensors: dict[str, Tensor], name: str, place: Place, source: ModelSource) -> Arrived:
    """Reads the tensors into the adapter `name`. Raises ModelError if they are not all of it, or do not all arrive."""
    from peft import set_peft_model_state_dict

    expected = adapter_state(model, name)
    stored = renamed(tensors, expected, source)
    _require_shapes(stored, expected, place, source)
    absent = absent_from(stored, expected, place)
    if absent and not unexplained(stored, expected, place):
        raise not_whole(source, absent, expected)
    spoil(expected, absent)
    set_peft_model_state_dict(model, stored, adapter_name=name)
    arrived = require_arrived(adapter_state(model, name), stored, place, source)
    if missing := still_spoilt(arrived.loaded, absent):
        raise not_whole(source, missing, expected)
    return arrived


def _prefix_of(tensors: dict[str, Tensor], backbone: nn.Module, source: ModelSource, base: ModelSource) -> str:
    """The part of the adapter's names before the backbone's own names: "model", "bert", or nothing.

    It is found by the longest name of a module of the backbone that stands in a tensor's name.
    """
    known = {name for name, _ in backbone.named_modules() if name}
    best, prefix = 0, None
    for name in tensors:
        parts = name.removeprefix(PEFT_PREFIX).split(".")
        for start in range(len(parts)):
            for end in range(len(parts), start + best, -1):
                if ".".join(parts[start:end]) in known:
                    best, prefix = end - start, ".".join(parts[:start])
                    break
    if prefix is None and all(name.startswith("base_model.") and not name.startswith(PEFT_PREFIX) for name in tensors):
        return ""  # its tensors belong to the model as a whole
    if prefix is None:
        shown = ", ".join(name.removeprefix(PEFT_PREFIX) for name in list(tensors)[:2])
        raise ModelError(
            f"{_no_fit(source, base)}: it adapts modules that {type(backbone).__name__} does not have "
            f"({shown}). Was it trained on another base model?"
        )
    return prefix


def _require_shapes(stored: dict[str, Tensor], expected: dict[str, Tensor], place: Place, source: ModelSource) -> None:
    """Raises ModelError if a tensor has another shape than the base model's tensor that it belongs into.

    Also if one of the adapter's own has another number of rows or columns where the base model's vocabulary stands.
    """
    embedding = getattr(place.backbone, "get_input_embeddings", lambda: None)()
    vocabulary = getattr(without_wrappers(embedding), "num_embeddings", None) if embedding is not None else None
    for name, tensor in stored.items():
        own = base_tensor_named(name, place.backbone) if place.inner(name) is not None else None
        in_base = own is not None
        if own is None:
            own = expected.get(name)
        if own is None or own.shape == tensor.shape or own.dim() != tensor.dim():
            continue
        differ = [(a, b) for a, b in zip(own.shape, tensor.shape, strict=True) if a != b]
        resized = len(differ) == 1 and differ[0][0] == vocabulary
        if in_base or resized:  # peft itself cuts some other tensors to size (AdaLoRA)
            raise ModelError(
                f"the adapter in {source.path} holds {name.removeprefix(PEFT_PREFIX)} as {tuple(tensor.shape)}, and the base model "
                f"takes {tuple(own.shape)}. "
                + (_RESIZE.format(rows=differ[0][1]) if resized else "Was it trained on another base model?")
            )


_RESIZE = (
    "Its vocabulary was resized before training. Resize the base model's in the same way "
    "(model.resize_token_embeddings({rows})), save that with the adapter's tokenizer, and give the saved folder as base "
    "model; or merge the adapter into such a model and give the merged model."
)


def _head_notes(config: Any, elsewhere: list[str], prefix: str) -> list[str]:
    """A sentence on parts that the backbone has not, such as a head, unless all there is of one is a new head for labels."""
    new_heads: set[str] = set()
    if config.task_type in ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"):
        new_heads = {"classifier", "score", "qa_outputs", *(getattr(config, "modules_to_save", None) or ())}
    shown: set[str] = set()
    for name in elsewhere:
        parts = name.removeprefix(PEFT_PREFIX).split(".")
        if len(parts) > 2 or parts[0] not in new_heads:
            beside = prefix.split(".") if prefix else []
            same = next((k for k, part in enumerate(beside) if part != parts[k]), len(beside))
            shown.add(".".join(parts[: same + 1]))
    if not shown:
        return []
    return [
        f"Its files also hold {listed(sorted(shown))}, behind the hidden states or beside them, which takes no part in the "
        "drift."
    ]


def _next_step(config: Any) -> str:
    start = getattr(config, "init_lora_weights", True)
    if initialisation_changes_base(start):
        return (
            f"Its initialisation ({start!r}) is done anew on loading, for which peft may need more than its files. Merge it where "
            "it was trained and give the merged model."
        )
    return "Was it trained on another base model, or saved by another version of peft?"


def _no_fit(adapter: ModelSource, base: ModelSource) -> str:
    return f"the adapter in {adapter.path} does not fit {base.ref!r}"


def _name(number: int) -> str:
    return f"adapter_{number}"
