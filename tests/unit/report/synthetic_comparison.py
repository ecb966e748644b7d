"""Records of comparisons made by hand: any number of models and layers, with or without controls, outputs and sections."""

from repdrift.core.records.comparison import BaseLayer, ComparedModel, Comparison, LayerDrift

VERSIONS = {"repdrift": "0.0", "torch": "0.0"}


def layer(number, drift, *, above=True, **fields):
    """One layer with an interval and all controls; any field may be replaced."""
    values = {"cka": 1 - drift, "cosine_centered": 1 - drift / 2}
    return LayerDrift(
        **{
            "layer": number,
            "rows": 40,
            "drift": drift,
            "drift_low": drift - 0.01,
            "drift_high": drift + 0.01,
            "values": values,
            "above_noise": above,
            "mispaired_drift": 1.0,
            "random_change_drift": 0.02,
            "random_change_low": 0.01,
            "random_change_high": 0.03,
            "weights": {"weight_relative_change": 0.01},
        }
        | fields
    )


def compared(name, drifts, *, above=True, layer_fields=None, **fields):
    """A model that was compared layer by layer."""
    layers = [layer(number, drift, above=above, **(layer_fields or {})) for number, drift in enumerate(drifts)]
    return ComparedModel(
        **{
            "name": name,
            "ref": f"models/{name}",
            "kind": "PEFT adapter",
            "status": "compared",
            "weights": "the base model's",
            "weights_digest": "ab" * 32,
            "settings": {"adapter_config.json": "cd" * 32},
            "layers": layers,
            "mean_drift": sum(drifts) / len(drifts),
        }
        | fields
    )


def refused(name, reason="it has another tokenizer.", status="not comparable"):
    """A model without a drift by layer."""
    return ComparedModel(name=name, ref=f"models/{name}", kind="full model", status=status, reason=reason)


def comparison(models, **fields):
    """A comparison of these models with `base-model`."""
    depth = max((len(model.layers) for model in models), default=0)
    base = [
        BaseLayer(
            layer=number,
            noise_floor=1e-7,
            noise_floor_high=2e-7,
            top_feature_share=0.1,
            participation_ratio=5.0,
            largest_activation=1.0,
        )
        for number in range(depth)
    ]
    return Comparison(
        **{
            "created": "2026-01-02T03:04:05+00:00",
            "versions": VERSIONS,
            "base": "base-model",
            "base_revision": None,
            "base_digest": "ef" * 32,
            "data": "lines.txt",
            "task": "lines",
            "samples": 40,
            "control_samples": 32,
            "tokens": 400,
            "truncated_samples": 0,
            "sample_set_fingerprint": "12" * 32,
            "pooling": "mean",
            "compute_dtype": "float32",
            "accumulated": "rows",
            "base_layers": base,
            "models": models,
            "between": [],
            "warnings": [],
            "wall_time_s": 1.5,
        }
        | fields
    )
