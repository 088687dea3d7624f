import pytest
import torch
import torch.nn.functional as F

from ancestral.distributions import Bernoulli, bernoulli_log_prob


def reference(logits, x):
    shape = torch.broadcast_shapes(logits.shape, x.shape)
    logits, x = logits.expand(shape), x.expand(shape)
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def case(logit_shape, x_shape, scale=3.0):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(logit_shape, generator=generator)
    x = (torch.rand(x_shape, generator=generator) < 0.5).to(logits.dtype)
    return logits.requires_grad_(), x


@pytest.mark.parametrize("num_dims", [1, 7, 8, 19, 784])
@pytest.mark.parametrize(
    ("left", "right"), [((5,), (5,)), ((3, 5), (5,)), ((), (5,)), ((3, 1), (5,)), ((5,), (3, 1))]
)
def test_value_and_gradient(num_dims, left, right):
    logits, x = case((*left, num_dims), (*right, num_dims))
    ours, theirs = bernoulli_log_prob(logits, x), reference(logits, x)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    (a,) = torch.autograd.grad((weight * ours).sum(), logits)
    (b,) = torch.autograd.grad((weight * theirs).sum(), logits)
    torch.testing.assert_close(a, b)
    with torch.no_grad():
        torch.testing.assert_close(bernoulli_log_prob(logits, x), theirs)


def test_derivatives_of_first_and_second_order():
    logits, x = case((2, 9), (2, 9))
    x.requires_grad_()
    observed = torch.arange(18).reshape(2, 9) % 3 > 0
    for mask in (None, observed):
        assert torch.autograd.gradcheck(bernoulli_log_prob, (logits, x, mask))
        assert torch.autograd.gradgradcheck(bernoulli_log_prob, (logits, x, mask))


def test_repeated_backward_gives_the_same():
    logits, x = case((4, 16), (4, 16))
    value = bernoulli_log_prob(logits, x).sum()
    (a,) = torch.autograd.grad(value, logits, retain_graph=True)
    (b,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_function_transforms():
    logits, x = case((4, 11), (4, 11))
    rows = torch.func.vmap(torch.func.grad(bernoulli_log_prob))(logits.detach(), x)
    torch.testing.assert_close(rows, x - logits.detach().sigmoid())


@pytest.mark.parametrize("scale", [1.0, 20.0, 1e4])
def test_single_precision_is_as_good_as_torch(scale):
    logits, x = case((200, 784), (200, 784), scale)
    exact = reference(logits, x)
    with torch.no_grad():
        ours = bernoulli_log_prob(logits.float(), x.float())
        theirs = reference(logits.float(), x.float())
    error, bound = (ours - exact).abs().max(), (theirs - exact).abs().max()
    assert error < 2 * bound


def test_infinite_logits_are_certain():
    logits = torch.tensor([[torch.inf, -torch.inf]] * 2).repeat(1, 8).requires_grad_()
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(1, 8)
    value = bernoulli_log_prob(logits.clamp(-1e300, 1e300), x)
    assert value[0].item() == 0
    assert value[1].item() < -1e300


def test_head_flattens_images_and_accepts_scalars():
    logits, x = case((5, 1, 4, 3), (5, 4, 3))
    expected = reference(logits[:, 0].flatten(1), x.flatten(1))
    torch.testing.assert_close(Bernoulli((4, 3)).log_prob(logits, x), expected)
    logits, x = case((5, 1), (5,))
    torch.testing.assert_close(Bernoulli(()).log_prob(logits, x), reference(logits, x[:, None]))


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
@pytest.mark.parametrize("num_dims", [3, 8, 21])
def test_many_samples_of_logits_for_one_x(scale, num_dims):
    """The short cut for codes, where products underflow too, and for x that are no codes."""
    logits, x = case((12, 5, num_dims), (5, num_dims), scale)
    for values in (x, 0.25 + 0.5 * x):
        expected = -F.binary_cross_entropy_with_logits(
            logits, values.expand_as(logits), reduction="none"
        ).sum(-1)
        torch.testing.assert_close(
            bernoulli_log_prob(logits, values), expected, rtol=1e-9, atol=1e-6
        )


@pytest.mark.parametrize("native", ["0", "1"])
@pytest.mark.parametrize("num_dims", [1, 16, 19, 784, 5000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_with_and_without_a_compiler(native, num_dims, dtype, scale, monkeypatch):
    monkeypatch.setenv("ANCESTRAL_NATIVE", native)
    generator = torch.Generator().manual_seed(0)
    logits = (scale * torch.randn(4, 3, num_dims, generator=generator)).to(dtype).requires_grad_()
    x = torch.rand(3, num_dims, generator=generator)
    x = torch.where(x < 0.7, (x < 0.3).double(), x).float()  # codes, and numbers in between
    expected = reference(logits.double(), x.double())
    weight = torch.randn(4, 3, generator=generator)
    (gradient,) = torch.autograd.grad((weight * expected).sum(), logits, retain_graph=True)
    value = bernoulli_log_prob(logits, x)
    assert value.dtype is torch.float32
    torch.testing.assert_close(value.double(), expected, rtol=3e-6, atol=1e-5)
    (ours,) = torch.autograd.grad((weight.float() * value).sum(), logits)
    assert ours.dtype is dtype
    tolerance = 2e-6 if dtype is torch.float32 else 8e-3
    torch.testing.assert_close(ours, gradient, rtol=tolerance, atol=tolerance)
    with torch.no_grad():
        again = bernoulli_log_prob(logits, x)
    torch.testing.assert_close(again.double(), expected, rtol=3e-6, atol=1e-5)


@pytest.mark.parametrize("native", ["0", "1"])
def test_what_is_no_number_stays_none(native, monkeypatch):
    monkeypatch.setenv("ANCESTRAL_NATIVE", native)
    logits = torch.zeros(3, 20, dtype=torch.float32)
    logits[1, 3] = torch.nan
    logits[2, 19] = torch.nan
    value = bernoulli_log_prob(logits, torch.zeros(3, 20, dtype=torch.float32))
    assert value.isfinite().tolist() == [True, False, False]


def test_second_derivatives_in_single_precision():
    logits, x = case((4, 19), (4, 19))
    single = logits.detach().float().requires_grad_()
    first = [torch.autograd.grad(bernoulli_log_prob(values, x.to(values.dtype)).sum(), values,
                                 create_graph=True)[0] for values in (logits, single)]  # fmt: skip
    second = [
        torch.autograd.grad(g.square().sum(), v)[0]
        for g, v in zip(first, (logits, single), strict=True)
    ]
    torch.testing.assert_close(second[1].double(), second[0], rtol=1e-5, atol=1e-6)
