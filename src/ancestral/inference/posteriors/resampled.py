"""Importance-resampled posteriors: of several draws, one by its weight."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ancestral.core import Batch, Draws, IncompatibleChoices, OptionError
from ancestral.core.noise import uniform_noise
from ancestral.inference.posteriors.posterior import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["ImportanceResampled"]


class ImportanceResampled(Posterior):
    r"""The distribution that the importance-weighted bound is an ELBO of.

    z_1, ..., z_K ~ q with weights w_k; z is one of them, chosen with probability in proportion:

    .. math:: \log q_{EW} = \log p(x, z) - \log \frac1K \sum_k w_k, \quad
              E[\log p(x, z) - \log q_{EW}] = L_K

    So its plain ELBO is the importance-weighted bound, with its gradient, and E w = p(x). The
    density at a given z is an integral over the other draws, and `log_prob` is refused.

    Args:
        proposal: q; each draw costs K of it, and K + 1 passes through the decoder.
        num_particles: K.

    References:
        | Reinterpreting Importance-Weighted Autoencoders (Cremer, Morris & Duvenaud, 2017),
        | equations 6 to 9, algorithm 1
    """

    log_q_kind = "likelihood"

    def __init__(self, proposal: Posterior, num_particles: int = 10) -> None:
        super().__init__()
        if num_particles < 1:
            raise OptionError(f"expected num_particles >= 1, got {num_particles}")
        self.base, self.num_particles = proposal, num_particles
        self.reparameterized = proposal.reparameterized

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Chosen draws, with log p(x, z) less the mean weight of their group."""
        return self.proposal(model, batch)(num_samples)

    def proposal(self, model: LatentVariableModel, batch: Batch) -> Callable[[int], Draws]:
        """Read x once, however often is drawn."""
        propose = self.base.proposal(model, batch)

        def draw(num_samples: int) -> Draws:
            z, log_q = propose(num_samples * self.num_particles)
            log_joint = model.log_joint(batch.x, z, batch.observed)
            groups = (self.num_particles, num_samples)
            log_w = (log_joint - log_q).unflatten(0, groups)  # [K, S, B]
            noise = uniform_noise(log_q.shape, log_w).clamp_min(torch.finfo(log_w.dtype).tiny)
            noise = noise.unflatten(0, groups)
            choice = (log_w.detach() - (-noise.log()).log()).argmax(0, keepdim=True)  # Gumbel
            where = choice.unsqueeze(-1).expand(1, *log_w.shape[1:], z.shape[-1])
            chosen = z.unflatten(0, groups).gather(0, where)[0]
            own = log_joint.unflatten(0, groups).gather(0, choice)[0]
            mean = log_w.logsumexp(0) - math.log(self.num_particles)
            return Draws(chosen, own - mean)

        return draw

    def adapted(self, model: LatentVariableModel, batch: Batch) -> Posterior:
        """The same choice among draws of an adapted q."""
        base = self.base.adapted(model, batch)
        return self if base is self.base else ImportanceResampled(base, self.num_particles)

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Refused: the density is an integral over the draws that were not chosen."""
        raise IncompatibleChoices(
            "the density of importance-resampled draws at a given z is not known",
            hint="use `draw`, whose log_q makes exact importance weights",
        )
