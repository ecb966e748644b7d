"""Classifiers read from files: with the head that was trained, never with one drawn at random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import OutcomeNotApplicable
from repdrift.core.words import listed
from repdrift.models.adapter_files import PEFT_PREFIX, adapter_config, adapter_tensors
from repdrift.models.adapters import put_adapter
from repdrift.models.backbone import headless, unwrapped
from repdrift.models.configuration import load_config
from repdrift.models.json_object import read_json_object
from repdrift.models.loading import MissingWeightsError, load_task_model, load_whole
from repdrift.models.model_files import ModelSource
from repdrift.models.prompt_adapter import is_learned_prompt
from repdrift.models.skeleton import task_skeleton

_CLASS = "ForSequenceClassification"
_RUN_FILE = "run.json"


@dataclass(frozen=True)
class Classes:
    """The classes of a head. count: k. labels: their names in the order of the logits; None where the files do not say.

    is_adapter: whether the head came with an adapter on another model.
    """

    count: int
    labels: tuple[str, ...] | None
    is_adapter: bool = False

    def name(self, number: int) -> str:
        """The name of a class, or its number where the files name none."""
        return str(number) if self.labels is None else self.labels[number]


@dataclass(frozen=True)
class Classifier:
    """A model that names one of several classes for each text.

    model: with its head, adapter layers included. body: the part of it that holds the blocks. classes: what its logits stand for.
    """

    model: nn.Module
    body: nn.Module
    classes: Classes

    def logits(self, inputs: dict[str, Any]) -> Tensor:
        """Logits (b, k) of a batch padded on the right, in the model's own number format.

        inputs: `input_ids` and `attention_mask` (b, t), and what else the model takes. Heads of decoders read the last token that is no padding
        token, so padding is made of that token here, whatever it was.
        """
        ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
        output: Any = self.model(**{**inputs, "input_ids": ids.masked_fill(~mask, self._padding)})
        return output.logits

    def reads_padding(self, inputs: dict[str, Any]) -> bool:
        """Tells whether the class of a text depends on the padding behind it, as in XLNet, whose head reads the last position of all.

        inputs: a batch of texts of several lengths; of such a model each text is to be run alone.
        """
        lengths = inputs["attention_mask"].sum(dim=1)
        short = int(lengths.argmin())
        alone = {
            name: value[short : short + 1, : int(lengths[short])] if isinstance(value, Tensor) else value
            for name, value in inputs.items()
        }
        with torch.inference_mode():
            together, by_itself = self.logits(inputs)[short].float(), self.logits(alone)[0].float()
        limit = math.sqrt(torch.finfo(next(self.model.parameters()).dtype).eps) * float(by_itself.abs().max())
        return not bool((together - by_itself).abs().max() <= limit)

    @property
    def _padding(self) -> int:
        """The id of the padding token; 0 where the configuration names none, and no head can go by it."""
        found = getattr(getattr(self.model, "config", None), "pad_token_id", None)
        return found if isinstance(found, int) and found >= 0 else 0


def is_classifier(source: ModelSource) -> bool:
    """True if a full model was saved as a classifier of texts, or an adapter was trained as one. Raises ModelError for unreadable files."""
    if source.is_adapter:
        return str(getattr(adapter_config(source), "task_type", None) or "") == "SEQ_CLS"
    return any(name.endswith(_CLASS) for name in getattr(load_config(source), "architectures", None) or [])


def load_classifier(base: ModelSource, source: ModelSource, *, dtype: str = "float32") -> Classifier:
    """Load a classifier on the CPU, in evaluation mode. base: what an adapter in `source` stands on; its head is
    read where the adapter brings none.

    Raises OutcomeNotApplicable if the files hold no head that names one of several classes for each text, or the model is a learned
    prompt; ModelError if it cannot be loaded.
    """
    on_classifier = source.is_adapter and not is_learned_prompt(source) and is_classifier(base)
    if not (is_classifier(source) or on_classifier):
        raise OutcomeNotApplicable(f"{source.ref!r} was not saved as a classifier of texts")
    model = _adapted(base, source, dtype) if source.is_adapter else _whole(source, dtype)
    whole = unwrapped(model)
    config: Any = whole.config
    kind = getattr(config, "problem_type", None)
    classes = int(config.num_labels)
    if classes < 2 or kind in ("regression", "multi_label_classification"):
        what = "several classes at once" if kind == "multi_label_classification" else "a number"
        raise OutcomeNotApplicable(
            f"{source.ref!r} gives {what} for each text, and not one of several classes, so its outputs are no distribution over classes"
        )
    return Classifier(whole.eval(), headless(whole), Classes(classes, _labels(source, classes), source.is_adapter))


def unlike_classes(first: Classes, second: Classes) -> str | None:
    """Says in words why the classes of two heads cannot be set side by side; None if they can.

    An adapter's files name no classes: unless a run's record does, its head is taken to have those of the other model.
    """
    if first.count != second.count:
        return f"its head has {second.count} classes, the other model's {first.count}"
    if first.labels == second.labels:
        return None
    if first.labels is None or second.labels is None:
        if first.is_adapter or second.is_adapter:
            return None
        known = listed(first.labels or second.labels or ())
        return (
            f"only one of the two models names its classes ({known}), so it is not known whether they are the same in the same order. Write the names "
            "(id2label) into config.json of the other"
        )
    order = " in another order" if sorted(first.labels) == sorted(second.labels) else ""
    return f"its classes are {listed(second.labels)}, the other model's {listed(first.labels)}: they are not the same{order}"


def _whole(source: ModelSource, dtype: str) -> nn.Module:
    from transformers import AutoModelForSequenceClassification

    try:
        model = load_whole(source, AutoModelForSequenceClassification, dtype=dtype)
    except MissingWeightsError as error:
        if not error.only_head:
            raise
        raise OutcomeNotApplicable(f"{source.ref!r} has no complete head in its files. {error}") from error
    if model.config.pad_token_id is None:
        model.config.pad_token_id = model.config.eos_token_id
    return model


def _adapted(base: ModelSource, adapter: ModelSource, dtype: str) -> nn.Module:
    if is_learned_prompt(adapter):
        raise OutcomeNotApplicable(f"{adapter.ref!r} is a learned prompt, whose virtual tokens stand before the text")
    classes = _classes_of(base, adapter)
    if classes is not None:  # its own head, which takes the place of the one that is drawn here
        return put_adapter(load_task_model(base, "classification", num_labels=classes, dtype=dtype), base, adapter)
    if is_classifier(base):
        return put_adapter(_whole(base, dtype), base, adapter)
    raise OutcomeNotApplicable(
        f"the files of the adapter {adapter.ref!r} hold no head, and neither does the base model, so that one would be drawn at random"
    )


def _classes_of(base: ModelSource, adapter: ModelSource) -> int | None:
    """The number of classes of the head that an adapter was saved with, the fewest rows of any matrix in it; None if it has none."""
    skeleton: Any = task_skeleton(load_config(base), "classification")
    heads = set() if skeleton is None else {n for n, _ in skeleton.named_children() if n != skeleton.base_model_prefix}
    rows = [
        int(tensor.shape[0])
        for name, tensor in adapter_tensors(adapter).items()
        if tensor.dim() == 2 and name.removeprefix(PEFT_PREFIX).split(".")[0] in heads and "lora_" not in name
    ]
    return min(rows, default=None)


def _labels(source: ModelSource, classes: int) -> tuple[str, ...] | None:
    """Names of the classes: those of the configuration if they say anything, else those of `run.json` beside a model that repdrift trained."""
    if not source.is_adapter:
        by_number: Any = getattr(load_config(source), "id2label", None) or {}
        names = tuple(str(by_number.get(number, "")) for number in range(classes))
        if not any(not name or name.startswith("LABEL_") for name in names):
            return names
    record = source.path.parent / _RUN_FILE
    named = read_json_object(record).get("class_labels") if record.is_file() else None
    return tuple(map(str, named)) if isinstance(named, list) and len(named) == classes else None
