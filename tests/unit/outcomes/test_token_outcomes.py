"""Token outcomes against float64 and scipy, at every size of difference, and at exact equality."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, rel_entr

from repdrift.core.errors import UnknownNameError
from repdrift.outcomes.token_outcome import TokenChunk, token_outcome, token_outcomes

TOKENS, VOCABULARY = 12, 5000


def chunk(size, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.normal(0, 4, (TOKENS, VOCABULARY))
    tuned = base + size * rng.normal(0, 1, base.shape)
    targets = rng.integers(0, VOCABULARY, TOKENS)
    float32 = [torch.log_softmax(torch.tensor(logits, dtype=torch.float32), dim=1) for logits in (base, tuned)]
    return TokenChunk(*float32, torch.tensor(targets)), log_softmax(base, axis=1), log_softmax(tuned, axis=1), targets


def test_every_outcome_is_found_by_its_name():
    assert token_outcomes() == ["forgetting", "output_js", "output_kl", "top1_agreement"]
    with pytest.raises(UnknownNameError, match="output_kl"):
        token_outcome("output_kI")


@pytest.mark.parametrize("size", [1e-3, 1e-2, 0.3, 3.0, 30.0])
def test_divergences_and_losses_agree_with_float64(size):
    given, base, tuned, targets = chunk(size)
    kl = rel_entr(np.exp(base), np.exp(tuned)).sum(axis=1)
    js = np.array([jensenshannon(np.exp(p), np.exp(q)) ** 2 for p, q in zip(base, tuned, strict=True)])
    # A logit of size 10 is rounded by 1e-6 in float32, which is 1e-3 of the smallest difference here.
    close = {"rtol": 3e-3 if size < 1e-2 else 1e-4, "atol": 1e-12}
    np.testing.assert_allclose(token_outcome("output_kl").reduce(given).tuned, kl, **close)
    np.testing.assert_allclose(token_outcome("output_js").reduce(given).tuned, js, **close)
    loss = token_outcome("forgetting").reduce(given)
    rows = np.arange(TOKENS)
    np.testing.assert_allclose(loss.tuned, -tuned[rows, targets], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loss.base, -base[rows, targets], rtol=1e-5, atol=1e-5)
    agreement = token_outcome("top1_agreement").reduce(given).tuned
    assert agreement.tolist() == (base.argmax(axis=1) == tuned.argmax(axis=1)).astype(float).tolist()


def test_equal_predictions_give_exact_zero_and_divergences_are_never_negative():
    given = chunk(0.0)[0]
    for name, expected in (("output_kl", 0.0), ("output_js", 0.0), ("top1_agreement", 1.0)):
        assert token_outcome(name).reduce(given).tuned.eq(expected).all()
    loss = token_outcome("forgetting").reduce(given)
    assert loss.base is not None
    assert torch.equal(loss.tuned, loss.base)
    for seed, size in enumerate((1e-7, 1e-6, 1e-5, 1e-4)):
        nearly = chunk(size, seed)[0]
        assert token_outcome("output_kl").reduce(nearly).tuned.ge(0).all()
        assert token_outcome("output_js").reduce(nearly).tuned.ge(0).all()


def test_predictions_without_a_common_token_reach_log_two():
    base = torch.log_softmax(torch.tensor([[0.0, 300.0, 0.0]]), dim=1)
    tuned = torch.log_softmax(torch.tensor([[300.0, 0.0, 0.0]]), dim=1)
    given = TokenChunk(base, tuned, torch.tensor([0]))
    assert token_outcome("output_js").reduce(given).tuned.item() == pytest.approx(np.log(2), rel=1e-5)
    assert token_outcome("output_kl").reduce(given).tuned.item() == pytest.approx(300, rel=1e-6)
