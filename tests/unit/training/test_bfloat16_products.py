"""Products of bfloat16 numbers in float32: against float64, against PyTorch's own kernels, and in a training as a whole."""

from collections import Counter
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from repdrift.models import load_task_model, resolve_model
from repdrift.training import bfloat16_products
from repdrift.training.bfloat16_products import ProductsInFloat32, products_in
from repdrift.training.training_run import train
from tests.unit.training.test_training_run import _job


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).bfloat16()


X, W, BIAS = numbers(48, 200), numbers(200, 56), numbers(56)
BATCHED, OTHERS, ADDED = numbers(4, 48, 200), numbers(4, 200, 56), numbers(4, 48, 56)
PRODUCTS = {
    "a product": (lambda x, w: x @ w, (X, W)),
    "read across its rows": (lambda x, w: x.T @ w.T, (numbers(200, 48), numbers(56, 200))),
    "with a bias": (torch.addmm, (BIAS, X, W)),
    "with a bias that counts twice": (lambda bias, x, w: torch.addmm(bias, x, w, beta=2.0, alpha=0.5), (BIAS, X, W)),
    "of batches": (lambda x, w: x @ w, (BATCHED, OTHERS)),
    "added to batches": (torch.baddbmm, (ADDED, BATCHED, OTHERS)),
    "of a layer": (lambda x, w, bias: functional.linear(x, w.T, bias), (X, W, BIAS)),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("product", PRODUCTS)
def test_each_product_is_the_exact_one_rounded_once(product, inference):
    do, operands = PRODUCTS[product]
    with torch.inference_mode(inference), ProductsInFloat32():
        found = do(*operands)
    exact = do(*(each.double() for each in operands))
    assert found.dtype == torch.bfloat16
    assert (found == exact.bfloat16()).double().mean() > 0.998, "but for sums that lie at the middle of two numbers"
    assert float(((found.double() - exact) / exact.abs().clamp_min(0.1)).abs().max()) < 2**-8
    native = do(*operands)
    assert float((found.double() - exact).norm()) <= 1.001 * float((native.double() - exact).norm())


def test_gradients_are_those_of_the_exact_layer_rounded():
    weight, x, up = numbers(56, 200).requires_grad_(), numbers(48, 200).requires_grad_(), numbers(48, 56)
    with ProductsInFloat32():
        functional.linear(x, weight).backward(up)
    exact_weight, exact_x = up.double().T @ x.double(), up.double() @ weight.double()
    for found, exact in ((weight.grad, exact_weight), (x.grad, exact_x)):
        assert (found == exact.bfloat16()).double().mean() > 0.998


@pytest.mark.parametrize(
    "types", [(torch.float32, torch.float32), (torch.float16, torch.float16), (torch.float64, torch.float64)]
)
def test_numbers_of_other_types_are_multiplied_as_they_are(types):
    a, b = (numbers(8, 8).to(dtype) for dtype in types)
    with ProductsInFloat32():
        found = a @ b
    assert torch.equal(found, a @ b)


class Seen(TorchDispatchMode):
    """Counts products by the type of their numbers, as they reach PyTorch's kernels."""

    def __init__(self):
        super().__init__()
        self.products = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in bfloat16_products._PRODUCTS:
            self.products[next(each.dtype for each in args if isinstance(each, torch.Tensor))] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def without_instructions(monkeypatch):
    """This machine as one that is not known to multiply bfloat16 natively."""
    monkeypatch.setattr(bfloat16_products, "quick_precision", lambda: "float32")


@pytest.mark.usefixtures("without_instructions")
@pytest.mark.parametrize("method", ["full_finetune", "lora"])
def test_no_product_of_a_training_is_left_to_slow_kernels(method, tiny_bert, tiny_data, tmp_path):
    with Seen() as seen:
        train(_job(tiny_bert, tiny_data, method=method, precision="bfloat16"), tmp_path)
    assert set(seen.products) == {torch.float32}
    assert seen.products[torch.float32] > 100, "forward and backward"


@pytest.mark.usefixtures("without_instructions")
def test_a_training_moves_as_with_pytorchs_kernels_and_closer_than_in_float32(
    tiny_bert, tiny_data, tmp_path, monkeypatch
):
    def weights(name, precision):
        run = train(_job(tiny_bert, tiny_data, precision=precision), tmp_path / name)
        model = load_task_model(resolve_model(str(run.folder / "final_model")), "classification", num_labels=2)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    ours, exact = weights("ours", "bfloat16"), weights("float32", "float32")
    again = weights("again", "bfloat16")
    monkeypatch.setattr(bfloat16_products, "quick_precision", lambda: "bfloat16")
    native = weights("native", "bfloat16")
    assert torch.equal(ours, again)
    assert not torch.equal(ours, exact), "it is bfloat16 all the same"
    assert float((ours - native).norm()) < float((native - exact).norm())


@pytest.mark.parametrize(
    ("precision", "quick", "compiled", "ours"),
    [
        ("bfloat16", "float32", False, True),
        ("bfloat16", "float32", True, False),
        ("bfloat16", "bfloat16", False, False),
        ("float32", "float32", False, False),
    ],
)
def test_they_are_for_bfloat16_where_the_processor_has_no_instructions(precision, quick, compiled, ours, monkeypatch):
    monkeypatch.setattr(bfloat16_products, "quick_precision", lambda: quick)
    found = products_in(precision, compiled=compiled)
    assert isinstance(found, ProductsInFloat32 if ours else nullcontext)


def test_an_accelerator_multiplies_by_itself(monkeypatch):
    monkeypatch.setattr(bfloat16_products, "quick_precision", lambda: "float32")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert isinstance(products_in("bfloat16"), nullcontext)


@pytest.mark.usefixtures("without_instructions")
def test_a_convolution_and_attention_pass_as_they_are():
    layer, x = nn.Conv1d(4, 4, 3).bfloat16(), numbers(2, 4, 16)
    query = numbers(1, 2, 8, 16)
    with torch.no_grad():
        expected = layer(x), functional.scaled_dot_product_attention(query, query, query)
        with ProductsInFloat32():
            found = layer(x), functional.scaled_dot_product_attention(query, query, query)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)
