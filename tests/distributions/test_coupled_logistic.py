"""Coupled discretised logistics: masses, tables, draws."""

import pytest
import torch

from ancestral.core import DataError, OptionError
from ancestral.distributions.coupled_logistic import CoupledLogistic, CoupledLogisticSites
from ancestral.distributions.discretized_logistic import DiscretizedLogistic
from ancestral.distributions.mixture import SiteMixture


def states(num_levels, width):
    levels = torch.arange(num_levels, dtype=torch.get_default_dtype())
    return torch.cartesian_prod(*[levels] * width).reshape(-1, width)


def random_features(site, *leading, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*leading, site.num_features, generator=generator)


@pytest.mark.parametrize(("num_levels", "width"), [(2, 1), (7, 1), (2, 3), (5, 3), (4, 2)])
def test_masses_of_all_colours_sum_to_one(num_levels, width):
    site = CoupledLogistic(num_levels, 3, width)
    features = random_features(site, 6, 1)
    total = site.log_prob(features, states(num_levels, width)).logsumexp(-1)
    torch.testing.assert_close(total, torch.zeros(6), atol=1e-12, rtol=0)


def test_masses_of_256_levels_sum_to_one_far_in_the_tails_and_in_single_precision():
    site = CoupledLogistic(256, 2, 1)
    features = torch.tensor([[0.0, 0, -40, 0.3, -6, 2], [0.0, 0, 5, 9, -6, -6]])
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        values = site.log_prob(features.to(dtype).unsqueeze(1), states(256, 1).to(dtype))
        assert bool(values.isfinite().all())
        assert bool((values.logsumexp(1).abs() < tolerance).all())


def test_grey_is_a_mixture_of_discretised_logistics():
    site = CoupledLogistic(9, 4, 1)
    cell = SiteMixture(DiscretizedLogistic((1,), 9), 4)
    features = random_features(site, 10)
    x = torch.randint(9, (10, 1)).double()
    kinds = features.reshape(10, 3, 4)
    # a logit each, then location and log-scale component by component
    parts = torch.cat((kinds[:, 0], kinds[:, 1:].transpose(1, 2).flatten(1)), 1).unsqueeze(-1)
    torch.testing.assert_close(site.log_prob(features, x), cell.log_prob(parts, x))
    torch.testing.assert_close(site.mean(features), cell.mean(parts))


def test_colours_follow_equation_3():
    """One component: the mean of green moves with red, that of blue with both."""
    site = CoupledLogistic(256, 1, 3)
    features = random_features(site)
    loc, log_scale, a = features[1:4], features[4:7], features[7:].tanh()
    x = torch.tensor([30.0, 200.0, 90.0])
    y = 2 * x / 255 - 1
    shifted = torch.stack((loc[0], loc[1] + a[0] * y[0], loc[2] + a[1] * y[0] + a[2] * y[1]))
    head = DiscretizedLogistic((3,), 256)
    expected = head.log_prob(torch.stack((shifted, log_scale)), x)
    torch.testing.assert_close(site.log_prob(features, x), expected)


@pytest.mark.parametrize("width", [1, 3])
def test_tables_are_the_conditionals(width):
    site = CoupledLogistic(5, 3, width)
    features = random_features(site, 4)
    every = states(5, width)
    joint = site.log_prob(features.unsqueeze(1), every).exp()
    for x, row in ((every[7 % len(every)], 0), (every[-2], 3)):
        for c in range(width):
            matching = (every[:, :c] == x[:c]).all(-1)
            mass = torch.stack([joint[row, matching & (every[:, c] == k)].sum() for k in range(5)])
            found = site.table(features, x[:c].expand(4, -1))[row]
            torch.testing.assert_close(found, mass / mass.sum(), atol=1e-12, rtol=1e-9)


def test_draws_have_the_masses():
    """Chi-square on all 27 colours; fails by chance once in 10,000."""
    from scipy.stats import chi2

    site = CoupledLogistic(3, 2, 3)
    features = random_features(site, seed=3)
    every = states(3, 3)
    torch.manual_seed(0)
    num = 40_000
    drawn = site.draw(features.expand(num, -1), torch.rand(num, 4))
    assert torch.equal(drawn, drawn.round())
    count = torch.bincount((drawn @ torch.tensor([9.0, 3.0, 1.0])).long(), minlength=27)
    expected = site.log_prob(features, every).exp() * num
    common = expected > 5
    statistic = float(((count - expected).square() / expected)[common].sum())
    assert statistic < chi2.isf(1e-4, int(common.sum()) - 1) + float(expected[~common].sum())


def test_gradients_are_finite_in_the_tails():
    site = CoupledLogistic(256, 2, 3)
    features = (random_features(site, 50) * 20).requires_grad_()
    site.log_prob(features, torch.randint(256, (50, 3)).double()).sum().backward()
    assert bool(features.grad.isfinite().all())


def test_first_features_fit_better_than_none():
    head = CoupledLogisticSites.of_image(num_pixels=4, num_levels=256, width=3)
    torch.manual_seed(0)
    grey = 40 + 20 * torch.randn(500, 4, 1)
    x = (grey + 5 * torch.randn(500, 4, 3)).round().clamp(0, 255)
    fitted = head.log_prob(head.initial_features(x), x).mean()
    nothing = head.log_prob(torch.zeros(4, head.num_features), x).mean()
    assert float(fitted) > float(nothing) + 3
    constant = torch.zeros(10, 4, 3)
    assert bool(head.log_prob(head.initial_features(constant), constant).isfinite().all())


def test_levels_outside_are_refused():
    head = CoupledLogisticSites.of_image(num_pixels=2, num_levels=4, width=1)
    with pytest.raises(DataError, match="whole numbers from 0 to 3"):
        head.check(torch.tensor([[[1.0], [4.0]]]))
    with pytest.raises(OptionError):
        CoupledLogistic(1)
    with pytest.raises(OptionError):
        CoupledLogistic(4, 0)
