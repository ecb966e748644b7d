import itertools

import torch

from repdrift.models.sites.sums import adds_up, explains, sums_to

EPS = torch.finfo(torch.float32).eps


def _random(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _rounded(tensor, dtype=torch.float32):
    return tensor.to(dtype).double()


def test_what_was_added_in_float32_adds_up_and_a_small_error_does_not():
    a, b, c = (_rounded(_random(2, 7, 64, seed=seed)) for seed in range(3))
    total = _rounded(_rounded(a + b) + c)
    assert adds_up([a, b, c], total, EPS)
    assert adds_up([c, a, b], total, EPS), "in any order"
    assert not adds_up([a, b, c * (1 + 1e-5)], total, EPS)
    assert not adds_up([a, b], total, EPS)


def test_a_huge_activation_hides_no_error_elsewhere():
    a, b = (_rounded(_random(2, 7, 64, seed=seed)) for seed in range(2))
    a[0, 0, 5] = 28_000.0
    total = _rounded(a + b)
    assert adds_up([a, b], total, EPS)
    wrong = b.clone()
    wrong[1, 3, 9] += 1e-4  # less than the rounding of the huge one
    assert not adds_up([a, wrong], total, EPS)


def test_sums_are_those_that_trying_everything_finds():
    parts = [[_random(2, 3, 60, seed=10 * part + n) for n in range(count)] for part, count in enumerate((1, 4, 3))]
    total = parts[0][0] + parts[1][2] + parts[2][1]
    tried = [
        choice
        for choice in itertools.product(*(range(len(part)) for part in parts))
        if adds_up([part[n] for part, n in zip(parts, choice, strict=True)], total, EPS)
    ]
    assert list(sums_to(parts, total, EPS)) == tried == [(0, 2, 1)]
    assert list(sums_to([*parts, []], total, EPS)) == []


def test_a_term_that_is_lost_in_a_coarse_sum_explains_nothing():
    eps = torch.finfo(torch.bfloat16).eps
    stream, seen = (
        _rounded(_random(2, 7, 64), torch.bfloat16),
        _rounded(_random(2, 7, 64, seed=1, scale=0.3), torch.bfloat16),
    )
    lost = _rounded(_random(2, 7, 64, seed=2, scale=1e-8), torch.bfloat16)
    with_seen, with_lost = _rounded(stream + seen, torch.bfloat16), _rounded(stream + lost, torch.bfloat16)
    assert adds_up([stream, seen], with_seen, eps)
    assert explains([stream, seen], 1, with_seen)
    assert adds_up([stream, lost], with_lost, eps)
    assert not explains([stream, lost], 1, with_lost)
    assert not explains([stream, torch.zeros_like(stream)], 1, stream)
