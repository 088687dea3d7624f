"""The adapter of zuko's flows; skipped where zuko is not installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch
from torch import nn

from ancestral.core import IncompatibleChoices, OptionError
from ancestral.flows import FlowConditional, Inverted, ZukoConditional, ZukoFlow, load_zuko
from ancestral.inference.posteriors import ScoresItsDraws
from ancestral.models import DiagonalGaussian, StandardNormalPrior

installed = pytest.mark.skipif(
    importlib.util.find_spec("zuko") is None, reason="zuko is not installed"
)


@installed
def test_arguments_are_still_checked_after_the_import():
    program = (
        "import torch\n"
        "from ancestral.flows import load_zuko\n"
        "zuko = load_zuko()\n"
        "try:\n"
        "    torch.distributions.Normal(torch.tensor(0.0), torch.tensor(-1.0))\n"
        "except ValueError:\n"
        "    print('checked', zuko.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "checked zuko\n", done.stderr


@installed
@pytest.mark.parametrize("kind", ["MAF", "NSF", "NICE"])
@pytest.mark.parametrize("context_size", [0, 3])
@pytest.mark.parametrize("inverted", [False, True])
def test_both_directions_and_determinants(kind, context_size, inverted):
    zuko = load_zuko()
    theirs = getattr(zuko.flows, kind)(
        features=4, context=context_size, transforms=2, hidden_features=(8,)
    )
    flow = ZukoFlow(theirs, 4, context_size=context_size)
    if inverted:
        flow = Inverted(flow)
    context = torch.randn(6, context_size) if context_size else None
    z = torch.randn(5, 6, 4)
    moved, log_det = flow(z, context)
    back, minus = flow.inverse(moved, context)
    torch.testing.assert_close(back, z, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(minus, -log_det, rtol=1e-5, atol=1e-5)
    one = None if context is None else context[2]
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v, one)[0], z[1, 2])
    torch.testing.assert_close(
        log_det[1, 2], torch.linalg.slogdet(jacobian).logabsdet, rtol=1e-5, atol=1e-5
    )


@installed
def test_as_prior_and_as_posterior():
    zuko = load_zuko()
    theirs = zuko.flows.NSF(features=2, transforms=2, hidden_features=(8,))
    prior = FlowConditional(StandardNormalPrior(2), ZukoFlow(theirs, 2))
    z = torch.randn(7, 3, 2)
    torch.testing.assert_close(prior.log_prob(z), theirs().log_prob(z))
    torch.testing.assert_close(ZukoConditional(theirs).log_prob(z), theirs().log_prob(z))
    amortised = zuko.flows.MAF(features=2, context=3, hidden_features=(8,))
    posterior = FlowConditional(
        DiagonalGaussian(nn.Identity()),
        Inverted(ZukoFlow(amortised, 2, context_size=3)),
        nn.Linear(5, 4 + 3),
    )
    drawn, log_q = posterior(torch.randn(6, 5)).rsample_with_log_prob((4,))
    assert drawn.shape == (4, 6, 2)
    log_q.sum().backward()
    assert any(p.grad is not None for p in amortised.parameters())


@installed
def test_distributions_that_are_no_flow():
    zuko = load_zuko()
    mixture = zuko.flows.GMM(features=2, components=3)
    with pytest.raises(IncompatibleChoices, match="hint: ZukoConditional takes any"):
        ZukoFlow(mixture, 2)
    assert ZukoConditional(mixture).log_prob(torch.zeros(4, 2)).shape == (4,)
    scored = ZukoConditional(zuko.flows.MAF(features=2))()
    assert isinstance(scored, ScoresItsDraws)
    z, log_q = scored.rsample_with_log_prob(torch.Size((4,)))
    torch.testing.assert_close(scored.log_prob(z), log_q, rtol=1e-5, atol=1e-5)
    assert scored.sample((2,)).shape == (2, 2)


def test_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(OptionError, match=r"hint: pip install 'ancestral\[flows\]'"):
        load_zuko()
