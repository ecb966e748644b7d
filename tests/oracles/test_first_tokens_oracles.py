"""First tokens of general text against a float64 program of a Llama in numpy: states, mean differences, logits along them, scores and chance."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from repdrift.drift.directions.token_reading import _directions
from repdrift.drift.first_tokens.base_reader import seed_of
from tests.unit.drift.first_tokens.shifted_models import (
    LAYERS,
    POSITIONS,
    changed,
    documents,
    language_model,
    noise,
    samples_of,
    study,
)
from tests.unit.drift.first_tokens.test_run_tokens import read

EPSILON = 1e-6


def normed(x, weight):
    return weight * x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + EPSILON)


def turned(x, theta=10000.0):
    """Rotary positions of (tokens, heads, width)."""
    half = x.shape[-1] // 2
    angles = np.arange(len(x))[:, None] / theta ** (np.arange(half) / half)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def states(folder, ids):
    """The residual stream after every block: (layers, tokens, width)."""
    w = {name: tensor.astype(np.float64) for name, tensor in load_file(folder / "model.safetensors").items()}
    config = json.loads((folder / "config.json").read_text())
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    h, found = w["model.embed_tokens.weight"][ids], []
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        x = normed(h, w[at + "input_layernorm.weight"])
        q, k, v = (
            (x @ w[f"{at}self_attn.{name}_proj.weight"].T).reshape(len(ids), count, -1)
            for name, count in (("q", heads), ("k", kv), ("v", kv))
        )
        q, k, v = turned(q), np.repeat(turned(k), heads // kv, axis=1), np.repeat(v, heads // kv, axis=1)
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(q.shape[-1])
        scores = np.where(np.tril(np.ones((len(ids), len(ids)), dtype=bool)), scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        h = h + np.einsum("hij,jhd->ihd", weights, v).reshape(len(ids), -1) @ w[at + "self_attn.o_proj.weight"].T
        x = normed(h, w[at + "post_attention_layernorm.weight"])
        gate = x @ w[at + "mlp.gate_proj.weight"].T
        h = h + (gate / (1 + np.exp(-gate)) * (x @ w[at + "mlp.up_proj.weight"].T)) @ w[at + "mlp.down_proj.weight"].T
        found.append(h)
    return np.stack(found)


def test_states_shifts_logits_scores_and_chance_are_those_of_the_program(tmp_path):
    base = language_model(tmp_path / "base_model")
    tuned = changed(base, tmp_path / "runs/lora/final_model", noise(3, 0.01))
    path = documents(tmp_path)
    plan = study(tmp_path, base, {("lora", 1): tmp_path / "runs/lora"}, lambda: samples_of(path, base), draws=0)
    found = read(plan).found[0][1]
    texts = samples_of(path, base).input_ids
    x, y = (np.stack([states(folder, list(ids))[:, :POSITIONS] for ids in texts]) for folder in (base, tuned))
    w = {name: tensor.astype(np.float64) for name, tensor in load_file(base / "model.safetensors").items()}
    head, gain = w["lm_head.weight"], w["model.norm.weight"]

    assert len(found.shifts) == LAYERS * POSITIONS
    largest = []
    for shift in found.shifts:
        layer, position = shift.layer, shift.position
        before, after = x[:, layer, position], y[:, layer, position]
        moved, mean = (after - before).mean(axis=0), before.mean(axis=0)
        assert shift.shift == pytest.approx(np.linalg.norm(moved), rel=1e-4)
        assert shift.base_norm == pytest.approx(np.linalg.norm(before, axis=1).mean(), rel=1e-5)
        scale = np.sqrt(np.square(mean).mean() + EPSILON)
        jacobian = head @ (gain[:, None] * (np.eye(len(mean)) - np.outer(mean, mean) / (len(mean) * scale**2)) / scale)
        jacobian -= jacobian.mean(axis=0)  # logits about their mean over tokens
        scatter = before - mean
        drawn = _directions(torch.tensor(scatter), seed_of("directions", layer, position)).numpy() @ jacobian.T
        halves = drawn[:32], drawn[32:]
        spread = np.sqrt(np.maximum(*(np.square(half).mean(axis=0) for half in halves)))
        own = jacobian @ moved
        scores = own / np.linalg.norm(moved) / spread
        order = np.argsort(-scores)
        assert [t.token_id for t in shift.tokens.top[:3]] == list(order[:3])
        for token in (*shift.tokens.top, *shift.tokens.bottom):
            assert token.score == pytest.approx(scores[token.token_id], rel=2e-3, abs=2e-3)
            assert token.logit == pytest.approx(own[token.token_id], rel=2e-3, abs=1e-4)
        chance = 0.0
        for number, logits in enumerate(drawn):
            kept = [
                np.delete(half, number - 32 * k, axis=0) if number // 32 == k else half for k, half in enumerate(halves)
            ]
            rms = np.sqrt(np.maximum(*(np.square(half).mean(axis=0) for half in kept)))
            chance = max(chance, np.abs(logits / rms).max())
        assert shift.tokens.chance == pytest.approx(chance, rel=1e-3)
        largest.append(chance)
    assert found.chance == pytest.approx(max(largest), rel=1e-3)
