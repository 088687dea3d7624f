"""Hamiltonian variational inference: the encoder's draw, moved by learnt leapfrog steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ancestral.core import (
    Batch,
    Conditional,
    Draws,
    IncompatibleChoices,
    OptionError,
)
from ancestral.core.freezing import evaluation_mode
from ancestral.core.noise import normal_noise
from ancestral.distributions import DiagonalNormal
from ancestral.inference.mcmc import Phase, force, position_leapfrog, tamed
from ancestral.inference.posteriors.posterior import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["HamiltonianVariational"]

_LARGEST_STEP = 1.0  # in units of q's scale; leapfrog is stable below 2 where q fits
_LARGEST_FORCE = 100.0  # in the same units, of the whole vector: beyond it a step is a jump
_LEAST_LOG_SCALE = -7.0


class HamiltonianVariational(Posterior):
    r"""z_0 ~ q(z | x) and v_0 ~ N(0, I), then leapfrog steps on log p(x, z), all learnt.

    The steps keep volume, so the joint density of where they end is that of where they began.
    The momentum is an auxiliary variable, for which a learnt inverse model r answers:

    .. math:: \log w = \log p(x, z_K) + \log r(v_K \mid z_K, x)
              - \log q(z_0 \mid x) - \log N(v_0; 0, I / b_0) - \tfrac{L}{2} \log b_0

    E w = p(x) exactly, so every bound on log-weights is one on log p(x). `Draws.log_q` holds all
    but the first term: it is no density of z alone, and `log_prob` is refused.

    Step sizes are learnt for each step and coordinate, in units of q's scale s(x) (cut at that
    of the prior): in other words a diagonal mass matrix 1 / (eps s)^2 that depends on x. A force
    beyond 100 of these units is shortened: volume is kept by any force that is a function of z.
    Forces are those of the model without dropout. On the way back through the steps gradients are
    kept from exploding (`mcmc.tamed`).

    Args:
        initial: q(z | x) with a mean and standard deviations.
        inverse: r, a `Conditional` over v [..., L] given [..., 3 L]: (z - mean) / s, mean and
            log s of q.
        latent_size: L.
        num_steps: K leapfrog steps (`position_leapfrog`), each with one gradient of the decoder,
            which training differentiates a second time.
        step_size: of all steps at first, below 1.
        tempering: b_0 in (0, 1]: momenta start 1 / sqrt(b_0) times as large and are scaled down
            after each step, on a quadratic schedule; 1 for none.

    References:
        | Markov Chain Monte Carlo and Variational Inference: Bridging the Gap (Salimans, Kingma &
        | Welling, 2015), section 3 and algorithm 3
        | Hamiltonian Variational Auto-Encoder (Caterini, Doucet & Sejdinovic, 2018), section 3,
        | equation 9 (tempering)
    """

    reparameterized = True
    log_q_kind = "auxiliary"

    def __init__(
        self,
        initial: ParametricPosterior,
        inverse: Conditional,
        latent_size: int,
        *,
        num_steps: int = 4,
        step_size: float = 0.3,
        tempering: float = 1.0,
    ) -> None:
        super().__init__()
        if num_steps < 1 or not 0 < step_size < _LARGEST_STEP or not 0 < tempering <= 1:
            raise OptionError(
                "expected num_steps >= 1, 0 < step_size < 1 and 0 < tempering <= 1, got "
                f"{num_steps}, {step_size} and {tempering}"
            )
        self.initial, self.inverse = initial, inverse
        self.latent_size, self.tempering = latent_size, tempering
        logit = math.log(step_size / (_LARGEST_STEP - step_size))
        self.step_logits = nn.Parameter(torch.full((num_steps, latent_size), logit))

    @property
    def num_steps(self) -> int:
        """K."""
        return len(self.step_logits)

    @property
    def step_sizes(self) -> Tensor:
        """[K, L], in units of q's scale."""
        return _LARGEST_STEP * self.step_logits.sigmoid()

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """z_K, and what makes exp(log p(x, z_K) - log_q) an unbiased estimate of p(x)."""
        return self.proposal(model, batch)(num_samples)

    def proposal(self, model: LatentVariableModel, batch: Batch) -> Callable[[int], Draws]:
        """Read x once, however often is drawn."""
        q = self.initial.distribution(model, batch)
        loc, log_scale = q.mean, q.stddev.log().clamp_min(_LEAST_LOG_SCALE)
        unit = torch.rsqrt(1 + (-2 * log_scale).exp())  # of z: q's scale, or the prior's

        def draw(num_samples: int) -> Draws:
            start = q.rsample(torch.Size((num_samples,)))
            momentum = normal_noise(start.shape, start) * self.tempering**-0.5
            log_q = q.log_prob(start) + _log_normal(momentum, self.tempering)
            with evaluation_mode(model):
                end = self._moved(model, batch, unit, Phase(start, momentum))
            # the map from start to end multiplies volumes by tempering^(L / 2)
            log_q = log_q - 0.5 * self.latent_size * math.log(self.tempering)
            context = torch.cat(
                ((end.z - loc) / unit, loc.expand_as(end.z), log_scale.expand_as(end.z)), -1
            )
            return Draws(end.z, log_q - self.inverse.log_prob(end.momentum, context))

        return draw

    def _moved(
        self, model: LatentVariableModel, batch: Batch, unit: Tensor, phase: Phase
    ) -> Phase:
        """All steps, in the coordinates z / unit."""
        gradient = force(lambda z: model.log_joint(batch.x, z, batch.observed))

        def shortened(w: Tensor) -> Tensor:
            whole = gradient(w * unit) * unit
            return whole * torch.rsqrt(1 + (whole / _LARGEST_FORCE).square().sum(-1, keepdim=True))

        w, momentum = phase.z / unit, phase.momentum
        factors = _momentum_factors(self.tempering, self.num_steps)
        for size, factor in zip(self.step_sizes, factors, strict=True):
            w, momentum = position_leapfrog(shortened, Phase(w, momentum), (size,))
            w, momentum = tamed(w), tamed(momentum * factor)
        return Phase(w * unit, momentum)

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Refused: q(z | x) is an integral over the momentum."""
        raise IncompatibleChoices(
            "the density of a Hamiltonian posterior at a given z is not known: its log q counts "
            "the auxiliary momentum in",
            hint="use `draw`, whose log_q makes exact importance weights; start annealing from "
            "the prior",
        )


def _momentum_factors(tempering: float, num_steps: int) -> Sequence[float]:
    """What the momentum is multiplied with after each step; their product is sqrt(b_0)."""
    first = tempering**-0.5
    scales = [first + (1 - first) * (k / num_steps) ** 2 for k in range(num_steps + 1)]
    return [later / sooner for sooner, later in pairwise(scales)]


def _log_normal(momentum: Tensor, tempering: float) -> Tensor:
    """Log N(v; 0, I / b_0)."""
    log_scale = momentum.new_full((), -0.5 * math.log(tempering))
    zeros = torch.zeros_like(momentum[0, 0])
    return DiagonalNormal(zeros, log_scale.expand_as(zeros)).log_prob(momentum)
