"""The sites that an extraction reads: checked names, how many tensors they are, and where one model has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from repdrift.core.errors import UnknownNameError
from repdrift.core.records.sites import RESID_POST, SITES, Site, in_order
from repdrift.models import Blocks, execution_device
from repdrift.models.site_probe import probe_inputs, probing
from repdrift.models.sites.taps import ChosenSites


def checked_sites(sites: Sequence[str] | str) -> tuple[Site, ...]:
    """The sites in their usual order, `resid_post` always among them; one name may stand alone. Raises UnknownNameError for a name that is no site."""
    if isinstance(sites, str):
        sites = (sites,)
    unknown = [site for site in sites if site not in SITES]
    if unknown:
        raise UnknownNameError.of("site", unknown[0], SITES)
    return in_order(sites)


def tensors_asked_for(sites: Sequence[Site], n_layers: int) -> int:
    """The number of sites and layers asked for, whether or not a model has them all.

    A base model and one tuned from it then take equal batches, also where only one has an adapter.
    """
    by_block = sum(site not in ("embeddings", "final_norm") for site in sites)
    return by_block * n_layers + len(sites) - by_block


def chosen_sites(
    blocks: Blocks, sites: Sequence[Site], layers: Sequence[int], run: Callable[[dict[str, Any]], object]
) -> ChosenSites:
    """Finds where the model of `blocks` has `sites`: by one forward pass on random tokens, unless only `resid_post` is asked for.

    run: runs the model on `input_ids` and `attention_mask`. Raises ModelError, with the reason, if a site cannot be found.
    """
    if tuple(sites) == (RESID_POST,):
        return ChosenSites()
    inputs: dict[str, Any] = dict(probe_inputs(blocks.root, execution_device(blocks.root)))
    with torch.no_grad(), probing(blocks) as found:
        run(inputs)
    return found().chosen(sites, layers)
