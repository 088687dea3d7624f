"""`LatentVariableModel`: the story of how data arise, and nothing else."""

from __future__ import annotations

from torch import Tensor, nn

from ancestral.core import Conditional
from ancestral.models.latent.likelihood import Likelihood

__all__ = ["LatentVariableModel"]


class LatentVariableModel(nn.Module):
    """p(x, z) = p(z) p(x | z): a prior and a likelihood. It knows no q and no loss.

    Args:
        prior: p(z), a `Conditional` without context.
        likelihood: p(x | z), a module such as `NetworkConditional`.

    Example:
        >>> import torch
        >>> from ancestral.distributions import Bernoulli
        >>> from ancestral.models import NetworkConditional, StandardNormalPrior
        >>> likelihood = NetworkConditional(nn.Linear(3, 5), Bernoulli((5,)))
        >>> model = LatentVariableModel(StandardNormalPrior(3), likelihood)
        >>> x, z = torch.ones(4, 5), torch.zeros(2, 4, 3)   # [batch, *x], [samples, batch, *z]
        >>> model.log_joint(x, z).shape
        torch.Size([2, 4])
    """

    likelihood: Likelihood

    def __init__(self, prior: Conditional, likelihood: Likelihood) -> None:
        super().__init__()
        self.prior = prior
        self.likelihood = likelihood

    def log_prior(self, z: Tensor) -> Tensor:
        """Log p(z), [samples, batch]."""
        return self.prior.log_prob(z)

    def log_likelihood(self, x: Tensor, z: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log p(x | z), [samples, batch]; missing cells of x are integrated out."""
        return self.likelihood.log_prob(x, z, observed)

    def log_joint(self, x: Tensor, z: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log p(x, z), [samples, batch]."""
        return self.log_prior(z) + self.log_likelihood(x, z, observed)

    def sample(self, num_samples: int) -> Tensor:
        """Ancestral samples, [num_samples, *x]: z from the prior, then x given z."""
        return self.likelihood.sample(self.sample_latents(num_samples))

    def sample_latents(self, num_samples: int) -> Tensor:
        """Draws from the prior, [num_samples, *z]."""
        return self.prior().sample((num_samples,))

    def reconstruct(self, z: Tensor) -> Tensor:
        """E[x | z], or the likeliest code where codes have no order, [..., *x]."""
        return self.likelihood.representative(z)
