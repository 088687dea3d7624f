"""Semi-amortised inference: gradient steps on each datum's q, from where the encoder says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.core.freezing import evaluation_mode
from ancestral.distributions import DiagonalNormal, kl_terms
from ancestral.inference.mcmc import tamed
from ancestral.inference.posteriors.posterior import ParametricPosterior
from ancestral.models import LatentVariableModel

__all__ = ["SemiAmortized", "StraightThrough", "ThroughSteps"]

_SEED = 0  # of the noise of the steps, which is part of q
_LARGEST_CHANGE = 1.0  # of log s in a step, and of the location in units of s
_RANGE = 7.0  # of log s, as of the encoder's


class Backward(Protocol):
    """What the encoder learns from the steps."""

    @property
    def create_graph(self) -> bool:
        """Whether the steps are differentiated."""
        ...


@dataclass(frozen=True)
class ThroughSteps:
    """Differentiate through every step: the encoder learns where it is good to start from.

    Each step costs a second derivative of the decoder, about three times its gradient.
    """

    create_graph: bool = True


@dataclass(frozen=True)
class StraightThrough:
    """Take the steps for constants: the encoder gets the gradient of where they end.

    As first-order meta-learning does; the bound that is reported is the same.
    """

    create_graph: bool = False


class SemiAmortized(ParametricPosterior):
    r"""q(z | x) = N(m_K, diag(s_K^2)), by K natural-gradient steps on the ELBO from the encoder.

    .. math:: m_{k+1} = m_k + a_k s_k^2 \nabla_m L, \quad
              \log s_{k+1} = \log s_k + \tfrac{a_k}{2} \nabla_{\log s} L

    The ELBO L of the steps uses noise that is drawn once and for all, in antithetic pairs: so q
    is a function of x, whose density, mean and divergences are exact, and every bound is honest.
    Step sizes a_k are learnt (where the steps are differentiated). Changes in one step are
    smoothly cut at one s, and at 1 in log s; on the way back through the steps gradients are
    kept from exploding (`mcmc.tamed`).

    Args:
        encoder: gives m_0 and s_0: any posterior with a mean and standard deviations.
        num_steps: K.
        step_size: a_k at first, below 1.
        num_pairs: pairs of antithetic samples in each step.
        backward: `ThroughSteps` or `StraightThrough`.

    Cost:
        2 K num_pairs gradients of the decoder for each datum, also for new data.

    References:
        | Semi-Amortized Variational Autoencoders (Kim, Wiseman, Miller, Sontag & Rush, 2018),
        | algorithm 1
        | Iterative Refinement of the Approximate Posterior (Hjelm et al., 2016)
    """

    noise: Tensor

    def __init__(
        self,
        encoder: ParametricPosterior,
        latent_size: int,
        *,
        num_steps: int = 4,
        step_size: float = 0.3,
        num_pairs: int = 1,
        backward: Backward | None = None,
    ) -> None:
        super().__init__()
        if num_steps < 1 or num_pairs < 1 or not 0 < step_size < 1:
            raise OptionError(
                "expected num_steps >= 1, num_pairs >= 1 and 0 < step_size < 1, got "
                f"{num_steps}, {num_pairs} and {step_size}"
            )
        self.encoder = encoder
        self.backward = backward or ThroughSteps()
        logit = math.log(step_size / (1 - step_size))
        learnt = self.backward.create_graph
        logits = torch.full((num_steps,), logit)
        self.step_logits = nn.Parameter(logits, requires_grad=learnt)
        generator = torch.Generator().manual_seed(_SEED)
        half = torch.randn(num_steps, num_pairs, 1, latent_size, generator=generator)
        self.register_buffer("noise", torch.cat((half, -half), 1))  # [K, 2 pairs, 1, L]

    def distribution(self, model: LatentVariableModel, batch: Batch) -> DiagonalNormal:
        """q(z | x) after the steps; the model's weights get a gradient through them."""
        start = self.encoder.distribution(model, batch)
        start_loc, start_log_scale = start.mean, start.stddev.log()
        loc, log_scale = start_loc, start_log_scale
        learning = torch.is_grad_enabled()
        through = learning and self.backward.create_graph
        with torch.enable_grad(), evaluation_mode(model):
            for noise, logit in zip(self.noise, self.step_logits, strict=True):
                if not through:
                    loc, log_scale = loc.detach(), log_scale.detach()
                loc, log_scale = self._step(
                    model, batch, (loc, log_scale), noise, logit.sigmoid(), create_graph=through
                )
                loc, log_scale = tamed(loc), tamed(log_scale)
        if not through:
            loc, log_scale = loc.detach(), log_scale.detach()
            if learning:  # the ends' values, with the gradient of the starts
                loc = loc + (start_loc - start_loc.detach())
                log_scale = log_scale + (start_log_scale - start_log_scale.detach())
        return DiagonalNormal(loc, log_scale)

    @staticmethod
    def _step(
        model: LatentVariableModel,
        batch: Batch,
        at: tuple[Tensor, Tensor],
        noise: Tensor,
        step_size: Tensor,
        *,
        create_graph: bool,
    ) -> tuple[Tensor, Tensor]:
        loc, log_scale = (
            part if part.requires_grad else part.detach().requires_grad_() for part in at
        )
        q = DiagonalNormal(loc, log_scale)
        z = loc + log_scale.exp() * noise
        elbo = model.log_likelihood(batch.x, z, batch.observed).mean(0) - _kl(model, q, z)
        to_loc, to_log_scale = torch.autograd.grad(
            elbo.sum(), (loc, log_scale), create_graph=create_graph
        )
        scale = log_scale.exp()
        change = _cut(step_size * scale * to_loc)
        new_log_scale = log_scale + _cut(0.5 * step_size * to_log_scale)
        return loc + scale * change, new_log_scale.clamp(-_RANGE, _RANGE)

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Log q(z | x), exact."""
        return self.distribution(model, batch).log_prob(z)


def _kl(model: LatentVariableModel, q: DiagonalNormal, z: Tensor) -> Tensor:
    """KL(q || p), [batch]: in closed form, or from the samples."""
    try:
        return kl_terms(q, model.prior()).sum(-1)
    except IncompatibleChoices:
        return (q.log_prob(z) - model.log_prior(z)).mean(0)


def _cut(change: Tensor) -> Tensor:
    """Smoothly to (-1, 1); NaN, where a gradient overflowed, to no change."""
    return _LARGEST_CHANGE * (change / _LARGEST_CHANGE).tanh().nan_to_num(0.0)
