"""The taps of a model: where its sites are read, block by block, chosen for what was asked for, or refused in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.sites import EMBEDDINGS_LAYER, RESID_POST, SITES, Site, SiteLayer
from repdrift.core.words import some_listed


@dataclass(frozen=True)
class Tap:
    """A module whose output or input is read, times a factor.

    module: runs once in each run of its block. name: of the module inside its block. reads: its first output, or its input.
    """

    module: nn.Module
    name: str
    scale: float = 1.0
    reads: Literal["output", "input"] = "output"


@dataclass(frozen=True)
class BlockSites:
    """The sites of one block.

    taps: by site, several are added up. absent: sites that this block has not, since it lacks the part (no attention), with the
    reason. hidden: sites that it may have but that cannot be told from the rest, with the reason. law: what the probe found to
    hold, in words; empty if nothing did.
    """

    taps: Mapping[str, tuple[Tap, ...]] = field(default_factory=dict[str, "tuple[Tap, ...]"])
    absent: Mapping[str, str] = field(default_factory=dict[str, str])
    hidden: Mapping[str, str] = field(default_factory=dict[str, str])
    law: str = ""


@dataclass(frozen=True)
class ChosenSites:
    """The choice for one model: by site and layer the taps. left_out: sites that this model has nowhere, with the reason."""

    taps: Mapping[SiteLayer, tuple[Tap, ...]] = field(default_factory=dict["SiteLayer", "tuple[Tap, ...]"])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def layers(self) -> dict[str, list[int]]:
        """By site the layers that have it, in the usual order of sites."""
        found = {site: [place.layer for place in self.taps if place.site == site] for site in SITES}
        return {site: sorted(layers) for site, layers in found.items() if layers}


@dataclass(frozen=True)
class ModelSites:
    """The sites of a model, as a forward pass on random tokens found them.

    model_name: for messages. blocks: one for each layer. embeddings: taps of the residual stream before block 0; empty if it is not seen. final_norm:
    the taps of the norm behind the last block; empty if there is none.
    """

    model_name: str
    blocks: tuple[BlockSites, ...]
    embeddings: tuple[Tap, ...]
    final_norm: tuple[Tap, ...]

    def chosen(self, sites: Sequence[Site], layers: Sequence[int]) -> ChosenSites:
        """The taps of `sites`; of sites that every block has, those of `layers`.

        Raises ModelError that names the site, the layer and the reason, if one cannot be found. `adapter_out` is left out with the
        reason instead, since it depends on how a model was tuned: of the models of a study only some have it.
        """
        taps: dict[SiteLayer, tuple[Tap, ...]] = {}
        left_out: dict[str, str] = {}
        for site in sites:
            if site == RESID_POST:
                continue
            if site == "embeddings":
                if not self.embeddings:
                    raise self._cannot(site, "the first block is not given a stream of the shape that it gives", None)
                taps[SiteLayer(site, EMBEDDINGS_LAYER)] = self.embeddings
            elif site == "final_norm":
                if not self.final_norm:
                    raise self._cannot(site, "no norm follows the last block", None)
                taps[SiteLayer(site, len(self.blocks))] = self.final_norm
            else:
                found = {SiteLayer(site, n): self.blocks[n].taps[site] for n in layers if site in self.blocks[n].taps}
                if site == "adapter_out" and (reason := self._why_no_branch(found, layers)) is not None:
                    left_out[site] = reason
                    continue
                self._require_told(site, layers)
                if not found:
                    raise self._cannot(site, self._why_absent(site, layers), None)
                taps |= found
        return ChosenSites(taps, left_out)

    def _why_no_branch(self, found: Mapping[SiteLayer, object], layers: Sequence[int]) -> str | None:
        """Says why `adapter_out` is left out; None if every adapter of these layers shows its branch."""
        reasons = [self.blocks[n].hidden["adapter_out"] for n in layers if "adapter_out" in self.blocks[n].hidden]
        if reasons:
            return reasons[0]
        return None if found else self._why_absent("adapter_out", layers)

    def _require_told(self, site: Site, layers: Sequence[int]) -> None:
        reasons = {n: self.blocks[n].hidden[site] for n in layers if site in self.blocks[n].hidden}
        if reasons:
            raise self._cannot(site, next(iter(reasons.values())), list(reasons))

    def _why_absent(self, site: Site, layers: Sequence[int]) -> str:
        reasons = dict.fromkeys(self.blocks[n].absent[site] for n in layers if site in self.blocks[n].absent)
        return "; ".join(reasons)

    def _cannot(self, site: Site, why: str, layers: Sequence[int] | None) -> ModelError:
        where = "" if layers is None else f" in layer {some_listed([str(layer) for layer in layers])}"
        return ModelError(
            f"site {site!r} of {self.model_name} cannot be read{where}: {why}. Leave it out of the sites that are asked for."
        )
