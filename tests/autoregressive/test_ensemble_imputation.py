"""Missing cells of a mixture over orders, against enumeration of that mixture."""

from __future__ import annotations

import pytest
import torch
from case import all_states
from test_ensemble import SITES, agnostic

from ancestral.applications import ParticleFilter, impute
from ancestral.core import Batch
from ancestral.models.autoregressive import OrderEnsemble

ROWS, SAMPLES = 200, 64
SETTINGS = ParticleFilter(num_particles=SAMPLES, num_moves=4)
SEEN = torch.tensor([False, False, True, True, False])
FIRST = [[2, 3, 0, 1, 4], [3, 2, 4, 0, 1]]  # what is seen comes first in all of them
MIXED = [[2, 3, 0, 1, 4], [0, 1, 2, 3, 4], [4, 2, 1, 3, 0]]


def enumerated(ensemble: OrderEnsemble, x: torch.Tensor):
    """log p(seen) and P(cell = 1 | seen), [T], of the mixture and of its first order alone."""
    states = all_states(2, (SITES,))
    agrees = (states[:, SEEN] == x[SEEN]).all(1)
    with torch.no_grad():
        joint = ensemble.log_prob(states[agrees])
        first = ensemble.log_prob_orders(states[agrees])[0]
    return [(each.logsumexp(0), each.softmax(0) @ states[agrees]) for each in (joint, first)]


def test_orders_with_the_known_cells_first_are_exact_together():
    """Marginals of 12,800 independent draws; four standard errors, by chance once in 16,000."""
    ensemble = OrderEnsemble(agnostic(), FIRST).eval()
    x = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    batch = Batch(x.expand(ROWS, -1), SEEN.expand(ROWS, -1))
    found = impute(ensemble, batch, SAMPLES, seed=3, particles=SETTINGS)
    (value, mean), (other, other_mean) = enumerated(ensemble, x)
    assert found.log_evidence.kind == "exact"
    torch.testing.assert_close(found.log_evidence.value, value.expand(ROWS))
    assert "exactly" in found.method
    assert "each of 2 orders" in found.method
    error = (mean * (1 - mean) / (ROWS * SAMPLES)).sqrt()
    assert ((found.samples.mean((0, 1)) - mean).abs() <= 4 * error + 1e-12).all()
    # one order alone, such as any with the known cells first, is another model
    assert abs(float(value - other)) > 0.02
    assert ((mean - other_mean).abs() > 8 * error).any()


def test_other_orders_are_estimated_and_said_to_be():
    """Four standard errors of 200 independent runs, by chance once in 16,000 for each number."""
    ensemble = OrderEnsemble(agnostic(), MIXED).eval()
    x = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    batch = Batch(x.expand(ROWS, -1), SEEN.expand(ROWS, -1))
    found = impute(ensemble, batch, SAMPLES, seed=4, particles=SETTINGS)
    (value, mean), _ = enumerated(ensemble, x)
    assert found.log_evidence.kind == "lower_bound"
    assert "sequential Monte Carlo" in found.method
    relative = (found.log_evidence.value - value).exp()  # without bias
    error = float(relative.std()) / ROWS**0.5
    assert error < 0.02
    assert abs(float(relative.mean()) - 1) < 4 * error
    stated = float(found.log_evidence.std_error.square().mean().sqrt())
    assert 0.5 * float(relative.std()) < stated < 2 * float(relative.std())
    each = found.samples.mean(1)
    weighted = (relative.unsqueeze(1) * each).mean(0) / relative.mean()
    spread = (relative.unsqueeze(1) * (each - weighted)).std(0) / ROWS**0.5
    assert ((weighted - mean).abs() <= 4 * spread + 1e-12).all()
    assert (found.ess <= SAMPLES).all()


@pytest.mark.parametrize("orders", [FIRST, MIXED])
def test_complete_rows_have_the_log_p_that_scores_them(orders):
    ensemble = OrderEnsemble(agnostic(), orders).eval()
    x = torch.randint(2, (5, SITES)).double()
    found = impute(ensemble, Batch(x), 3, particles=SETTINGS)
    assert found.log_evidence.kind == "exact"
    torch.testing.assert_close(found.log_evidence.value, ensemble.log_prob(x).detach())


def test_an_order_of_which_nothing_is_likely_gives_no_samples():
    """Evidence that one order finds a million times likelier decides for that order."""
    model = agnostic()
    with torch.no_grad():
        model.network.weight.zero_()
        model.network.output_bias.zero_()
        model.network.weight[3, 2] = -30.0  # 3 after 2: never 1 if 2 is; 2 after 3: either way
        model.network.weight[0, 2] = 30.0
    ensemble = OrderEnsemble(model, [[2, 3, 0, 1, 4], [3, 2, 0, 1, 4]]).eval()
    x = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.0]])
    found = impute(ensemble, Batch(x, SEEN.expand(1, -1)), 50)
    expected = ensemble.log_prob_orders(x, observed=SEEN.expand(1, -1)).logsumexp(0) - torch.log(
        torch.tensor(2.0)
    )
    torch.testing.assert_close(found.log_evidence.value, expected.detach())
    assert found.samples[0, :, 0].eq(1).all()
