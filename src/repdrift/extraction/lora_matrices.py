"""The LoRA matrices of a model, block by block."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import AdapterLayer
from repdrift.extraction.extractor import RepresentationExtractor


@dataclass
class LayerAdapter:
    """LoRA matrices of one block, by the name of the adapted module inside it.

    a: (rank, in). b: (out, rank). scaling: the factor of B A.
    """

    layer: int
    a: dict[str, Tensor] = field(default_factory=dict)
    b: dict[str, Tensor] = field(default_factory=dict)
    scaling: dict[str, float] = field(default_factory=dict)

    def record(self) -> AdapterLayer:
        """The entry for the set's metadata."""
        return AdapterLayer(
            layer=self.layer,
            modules=list(self.a),
            rank={name: int(a.shape[0]) for name, a in self.a.items()},
            scaling=dict(self.scaling),
        )


class LoRARepresentationExtractor(RepresentationExtractor):
    """Extracts from a base model with an active, unmerged LoRA adapter, and gives the adapter's matrices."""

    def adapter_layers(self) -> list[LayerAdapter]:
        """The LoRA matrices of every block that has any, in float32 on the CPU.

        Raises ModelError if no block has any, as in a base model.
        """
        found = [adapter for layer in self.layers if (adapter := adapter_of_block(layer, self.blocks.modules[layer])).a]
        if not found:
            raise ModelError(
                f"no LoRA matrices in the {len(self.layers)} blocks of {type(self.backbone).__name__}: the adapter was merged, "
                "or it adapts other modules"
            )
        return found


def adapter_of_block(layer: int, block: nn.Module) -> LayerAdapter:
    """The LoRA matrices inside one block, in float32 on the CPU; empty if it has none."""
    adapter = LayerAdapter(layer)
    for name, module in block.named_modules():
        a_by_adapter, b_by_adapter = getattr(module, "lora_A", None), getattr(module, "lora_B", None)
        if not isinstance(a_by_adapter, nn.ModuleDict) or not isinstance(b_by_adapter, nn.ModuleDict):
            continue
        for active in module.active_adapters:  # pyright: ignore[reportGeneralTypeIssues]
            if active in a_by_adapter:
                adapter.a[name] = a_by_adapter[active].weight.detach().float().cpu()  # pyright: ignore
                adapter.b[name] = b_by_adapter[active].weight.detach().float().cpu()  # pyright: ignore
                adapter.scaling[name] = float(module.scaling[active])  # pyright: ignore
    return adapter
