from __future__ import annotations

import pytest
import torch

from ancestral.core import OptionError
from ancestral.data import Affine, Compose, Identity, Logit, Standardize

SCALE = torch.tensor([0.5, 2.0, 30.0])
LOC = torch.tensor([-1.0, 0.0, 4.0])
BIJECTIONS = [
    Identity(),
    Affine(LOC.double(), SCALE.double()),
    Standardize(LOC.double(), SCALE.double()),
    Logit(),
    Logit(0.05),
    Compose((Affine(torch.tensor(0.1), torch.tensor(0.5)), Logit(0.05), Standardize(LOC, SCALE))),
]


@pytest.mark.parametrize("bijection", BIJECTIONS, ids=lambda b: type(b).__name__)
def test_log_determinant_is_that_of_autograd(bijection):
    x = torch.rand(5, 3, dtype=torch.float64, requires_grad=True)
    y, log_det = bijection.forward(x)
    assert y.shape == log_det.shape == x.shape
    for row in range(5):
        jacobian = torch.autograd.functional.jacobian(lambda v: bijection.forward(v)[0], x[row])
        assert torch.equal(jacobian, torch.diag(jacobian.diag()))
        torch.testing.assert_close(log_det[row], jacobian.diag().log(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("bijection", BIJECTIONS, ids=lambda b: type(b).__name__)
def test_inverse_undoes_forward(bijection):
    x = torch.rand(50, 3, dtype=torch.float64)
    torch.testing.assert_close(bijection.inverse(bijection.forward(x)[0]), x)


def test_log_p_is_of_the_data_as_given():
    normal = torch.distributions.Normal
    x = 5 + 3 * torch.randn(200, 1)
    standardize = Standardize.of(x)
    y, log_det = standardize.forward(x)
    ours = normal(0.0, 1.0).log_prob(y) + log_det
    torch.testing.assert_close(ours, normal(x.mean(), x.std(correction=0)).log_prob(x))


def test_standardisation_sees_observed_cells_only_and_survives_constants():
    x = torch.tensor([[1.0, 0.1, 0.0], [3.0, 0.1, 0.0], [0.0, 0.1, 0.0]])
    observed = torch.tensor([[True, True, False], [True, True, False], [False, True, False]])
    s = Standardize.of(x, observed)
    assert s.loc.tolist() == pytest.approx([2.0, 0.1, 0.0])
    assert s.scale.tolist() == [1.0, 1.0, 1.0]


def test_bad_parameters_are_refused():
    with pytest.raises(OptionError, match=r"expected alpha from 0 to less than 0.5, got 0.5"):
        Logit(0.5)
    with pytest.raises(OptionError, match="expected scales greater than 0"):
        Affine(torch.zeros(1), torch.zeros(1))
    with pytest.raises(OptionError, match="expected scales greater than 0"):
        Standardize(torch.zeros(1), torch.tensor([float("nan")]))
