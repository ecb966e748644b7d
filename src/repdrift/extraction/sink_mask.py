"""Attention sinks: tokens whose activations are so large that a mean over tokens would show little else.

A token is a sink if, after some block of the *base* model, its norm is more than `SINK_RATIO` times the lower quartile of the
norms of its sample's real tokens: of three tokens two may be sinks, and the median would be one of them. The rule reads one
sample at a time, so padding, batches and order do not matter.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.batches.batching import BatchPlan
from repdrift.core.errors import DataError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.process_group import world
from repdrift.core.records.sink_tokens import SinkTokens, TokenCount
from repdrift.tasks import SampleSet

SINK_RATIO = 22.0
"""Times the lower quartile of the sample's norms. Measured on five kinds of text with SmolLM2-135M (docs/explanation/decoder_pooling.md): tokens
that are no sinks stay below 17, sinks are above 29. A token at the limit has a quarter of the weight in a mean over 60 tokens."""
SINK_RULE = f"norm > {SINK_RATIO:g} x lower quartile of the sample, after any block"
"""The rule in words. It is part of the base set's key."""
_MOST_COMMON = 5
_KEY_BATCH_TOKENS = 4096


@dataclass(frozen=True)
class SampleSinks:
    """The sinks of one sample.

    positions: numbered among the sample's real tokens, from 0. largest_kept, smallest_left_out: ratios of the tokens next
    to the limit; None if there is none. all_sinks: every token was above the limit, and one was kept.
    """

    positions: tuple[int, ...]
    largest_kept: float | None
    smallest_left_out: float | None
    all_sinks: bool


class SinkMask:
    """The sinks of samples, looked up by the samples' tokens; it grows while the base model is run, until it is closed.

    A sample is known by its tokens and not by its number, so that a part of the samples, in any batches, has the mask that
    the whole has. `open`: whether a sample that is not known yet is searched for sinks; only the base model may be run then.
    """

    def __init__(self) -> None:
        self.open = True
        self._found: dict[bytes, SampleSinks] = {}
        self._ratios: dict[tuple[bytes, ...], Tensor] = {}
        """By the samples of a batch: for each token the largest ratio so far, (b, t), where the model is."""
        self._last: tuple[Tensor, list[bytes]] | None = None

    @classmethod
    def of(cls, sinks: SinkTokens, samples: SampleSet) -> SinkMask:
        """The closed mask of `sinks`. Raises DataError if they were found on other samples."""
        if sinks.sample_set_fingerprint != samples.fingerprint:
            raise DataError(
                f"the sinks were found on other samples (fingerprint {sinks.sample_set_fingerprint[:16]}) than these "
                f"({samples.fingerprint[:16]}). Find them on the base model with the same inputs (find_sinks)."
            )
        mask = cls()
        for key, positions in zip(_contents(samples)[0], sinks.positions, strict=True):
            mask._found[key] = SampleSinks(tuple(positions), None, None, False)
        mask.open = False
        return mask

    def knows(self, inputs: Mapping[str, Tensor]) -> bool:
        """True if every sample of a batch has been searched."""
        return all(key in self._found for key in self._keys(inputs))

    def positions(self, inputs: Mapping[str, Tensor]) -> list[tuple[int, ...]]:
        """The sinks of each sample of a batch. Raises DataError if one has not been searched."""
        keys = self._keys(inputs)
        unknown = [row for row, key in enumerate(keys) if key not in self._found]
        if unknown:
            raise DataError(
                f"the sinks of sample {unknown[0]} of the batch are not known: it is not among the samples on which they were found. "
                "Find them on the base model with the same inputs (find_sinks)."
            )
        return [self._found[key].positions for key in keys]

    def observe(self, inputs: Mapping[str, Tensor], hidden: Tensor) -> None:
        """Take note of one block's output, (b, t, d), for the batch `inputs`."""
        mask = inputs["attention_mask"].to(hidden.device).bool()
        norms = torch.linalg.vector_norm(hidden, dim=2, dtype=torch.float32)
        ascending = norms.masked_fill(~mask, torch.inf).sort(dim=1).values
        quartile = ascending.gather(1, ((mask.sum(dim=1, keepdim=True) - 1) // 4).clamp(min=0))
        ratios = norms / quartile
        batch = tuple(self._keys(inputs))
        before = self._ratios.get(batch)
        self._ratios[batch] = ratios if before is None else torch.maximum(before, ratios.to(before.device))

    def settle(self, inputs: Mapping[str, Tensor]) -> None:
        """Decide which tokens of a batch are sinks, after every block has been observed."""
        keys = self._keys(inputs)
        ratios = self._ratios.pop(tuple(keys)).cpu()
        mask = inputs["attention_mask"].cpu().bool()
        for row, key in enumerate(keys):
            self._found.setdefault(key, _sinks_among(ratios[row][mask[row]]))

    def share(self) -> None:
        """Give every process of a `torchrun` what all of them have found, and close the mask. All of them call it."""
        processes = world()
        gathered = processes.gather(self._found)
        merged: dict[bytes, SampleSinks] = {}
        for found in gathered or ():
            for key, sinks in found.items():
                merged.setdefault(key, sinks)
        self._found = processes.from_first(merged)
        self.open = False

    def _keys(self, inputs: Mapping[str, Tensor]) -> list[bytes]:
        """The keys of a batch, made once for all of its layers."""
        if self._last is None or self._last[0] is not inputs["input_ids"]:
            self._last = inputs["input_ids"], sample_keys(inputs)
        return self._last[1]

    def record(self, samples: SampleSet) -> SinkTokens:
        """The sinks of `samples`, in their order. Raises DataError if one has not been searched."""
        keys, ids = _contents(samples)
        unknown = [number for number, key in enumerate(keys) if key not in self._found]
        if unknown:
            raise DataError(f"sample {samples.sample_ids[unknown[0]]!r} was not searched for sinks")
        found = [self._found[key] for key in keys]
        positions = [list(sinks.positions) for sinks in found]
        counts = Counter(ids[number][at] for number, sinks in enumerate(positions) for at in sinks)
        kept = [sinks.largest_kept for sinks in found if sinks.largest_kept is not None]
        left_out = [sinks.smallest_left_out for sinks in found if sinks.smallest_left_out is not None]
        return SinkTokens(
            ratio_limit=SINK_RATIO,
            digest=config_sha256({"sinks": positions}),
            samples=len(samples),
            tokens=sum(map(len, ids)),
            sinks=sum(map(len, positions)),
            samples_with_sinks=sum(1 for sinks in positions if sinks),
            at_first_token=sum(1 for sinks in positions if 0 in sinks),
            most_common=[
                TokenCount(token_id=token, text=None, count=count)
                for token, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_COMMON]
            ],
            largest_ratio_kept=max(kept, default=None),
            smallest_ratio_left_out=min(left_out, default=None),
            samples_of_one_token=sum(1 for tokens in ids if len(tokens) == 1),
            samples_all_sinks=sum(1 for sinks in found if sinks.all_sinks),
            sample_set_fingerprint=samples.fingerprint,
            positions=positions,
        )


def sample_keys(inputs: Mapping[str, Tensor]) -> list[bytes]:
    """A digest of the tokens of each sample of a batch: equal for equal samples, whatever the padding is."""
    ids, mask = inputs["input_ids"].cpu(), inputs["attention_mask"].cpu().bool()
    others = {name: inputs[name].cpu() for name in ("token_type_ids", "position_ids") if name in inputs}
    keys: list[bytes] = []
    for row in range(ids.shape[0]):
        at = mask[row].nonzero().squeeze(1)
        key = ids[row][at].numpy().tobytes()
        if len(at) and int(at[-1] - at[0]) + 1 != len(at):
            key += b"at" + (at - at[0]).numpy().tobytes()  # gaps in the mask: other positions, other hidden states
        for name, values in others.items():
            key += name.encode() + values[row][at].numpy().tobytes()
        keys.append(hashlib.sha256(key).digest())
    return keys


def _contents(samples: SampleSet) -> tuple[list[bytes], list[list[int]]]:
    """For each sample its key and the ids of its real tokens."""
    keys: list[bytes] = [b""] * len(samples)
    ids: list[list[int]] = [[] for _ in keys]
    for batch in BatchPlan(samples, token_budget=_KEY_BATCH_TOKENS):
        tokens, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"].bool()
        for row, (number, key) in enumerate(zip(batch.sample_indices, sample_keys(batch.inputs), strict=True)):
            keys[number] = key
            ids[number] = tokens[row][mask[row]].tolist()
    return keys, ids


def _sinks_among(ratios: Tensor) -> SampleSinks:
    """Decides for the tokens of one sample, (t,). A ratio that is NaN or infinite belongs to a fault, and is no sink's."""
    values: Sequence[float] = ratios.cpu().tolist()
    above = [at for at, ratio in enumerate(values) if SINK_RATIO < ratio < float("inf")]
    all_sinks = len(above) == len(values)
    if all_sinks:  # different tokens in different layers: a row needs a token, and the smallest does least harm
        above.remove(min(above, key=values.__getitem__))
    kept = [ratio for at, ratio in enumerate(values) if at not in above and ratio < float("inf")]
    return SampleSinks(
        tuple(above), max(kept, default=None), min((values[at] for at in above), default=None), all_sinks
    )
