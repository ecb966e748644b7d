"""Sites: the places inside a transformer at which representations are read, their names, their files and their words.

A site is written with a layer number, also where it has no block: `embeddings` stand before block 0, at layer -1, and
`final_norm` after the last block, at the number of blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

Site = Literal["resid_post", "attn_out", "mlp_out", "embeddings", "final_norm", "adapter_out"]
SITES: tuple[Site, ...] = get_args(Site)
RESID_POST: Site = "resid_post"
"""The residual stream after a block; every representation set has it."""
EMBEDDINGS_LAYER = -1
"""The layer number of `embeddings`: before block 0."""

SITE_WORDS: dict[Site, str] = {
    "resid_post": "residual stream after the block",
    "attn_out": "attention output",
    "mlp_out": "MLP output",
    "embeddings": "embeddings",
    "final_norm": "after the final norm",
    "adapter_out": "adapter's own branch",
}
"""Names shown to people."""

_BY_BLOCK: tuple[Site, ...] = ("resid_post", "attn_out", "mlp_out", "adapter_out")
_PREFIXES = {"resid_post": "layer"}
_NAME = re.compile(r"(?:(layer|attn_out|mlp_out|adapter_out)_\d+|embeddings|final_norm)")


class SiteLayer(NamedTuple):
    """A site at a layer. It equals the plain pair `(site, layer)`."""

    site: str
    layer: int

    @property
    def stem(self) -> str:
        """The name of its file without the ending: layer_3, attn_out_3, embeddings."""
        if self.site not in _BY_BLOCK:
            return self.site
        return f"{_PREFIXES.get(self.site, self.site)}_{self.layer}"

    @property
    def words(self) -> str:
        """A few words for messages: layer 3, attn_out of layer 3, embeddings."""
        if self.site == RESID_POST:
            return f"layer {self.layer}"
        return f"{self.site} of layer {self.layer}" if self.site in _BY_BLOCK else self.site


def is_site_stem(stem: str) -> bool:
    """Tell whether `stem` is the name, without its ending, of a file that holds a site of a representation set."""
    return _NAME.fullmatch(stem) is not None


def in_order(sites: Iterable[str]) -> tuple[Site, ...]:
    """The sites in their usual order, each once, `resid_post` always among them. Names that are no site are left out."""
    wanted = {RESID_POST, *sites}
    return tuple(site for site in SITES if site in wanted)


def places_of(layers: Iterable[int], sites: Mapping[str, Iterable[int]]) -> list[SiteLayer]:
    """Every site and layer of a set: `resid_post` of these layers, then the other sites, by site the layers that have it."""
    found = [SiteLayer(RESID_POST, layer) for layer in layers]
    return found + [SiteLayer(site, layer) for site in SITES if site != RESID_POST for layer in sites.get(site, ())]
