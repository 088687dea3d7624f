"""`NormalMixture`: a mixture of diagonal Gaussians over vectors, with gradients through draws."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from ancestral.core.noise import normal_noise, uniform_noise
from ancestral.distributions.gaussian import LOG_2PI
from ancestral.distributions.normal import normal_cdf

__all__ = ["NormalMixture"]


class NormalMixture(Distribution):
    r"""q(z) = \sum_c w_c N(z; m_c, diag(s_c^2)), one event being the last axis.

    Draws are reparameterised by implicit differentiation of the map z -> F(z) with
    F_d(z) = P(Z_d <= z_d | Z_{<d} = z_{<d}), which turns them into uniform noise whatever the
    parameters are: so weights, too, get a gradient. Its variance is below that of a score
    function while the components overlap. Between well-separated ones the density is next to
    nothing, and a draw there would move far for a small change of the weights: their gradient is
    then heavy-tailed, most of it from rare draws. log q is exact.

    Args:
        logits: [*batch_shape, C], of the weights, up to a constant.
        loc: [*batch_shape, C, D].
        log_scale: [*batch_shape, C, D].

    Cost:
        The gradient takes the D x D Jacobian of F for each draw: C D^2 products.

    Example:
        >>> import torch
        >>> q = NormalMixture(torch.zeros(2), torch.tensor([[-1.0], [1.0]]), torch.zeros(2, 1))
        >>> q.mean, q.variance
        (tensor([0.]), tensor([2.]))

    References:
        | Implicit Reparameterization Gradients (Figurnov et al., 2018), section 3 and appendix A
        | Stochastic Backpropagation through Mixture Density Distributions (Graves, 2016),
        | equations 3 to 10
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support: ClassVar[constraints.Constraint] = constraints.real_vector  # pyright: ignore
    has_rsample = True

    def __init__(self, logits: Tensor, loc: Tensor, log_scale: Tensor) -> None:
        self.log_weights = logits.log_softmax(-1)
        self.loc = loc
        self.log_scale = log_scale
        super().__init__(logits.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The components' means, weighted."""
        return (self.log_weights.exp().unsqueeze(-1) * self.loc).sum(-2)

    @property
    def variance(self) -> Tensor:
        """Of each dimension: within the components, and between them."""
        weights = self.log_weights.exp().unsqueeze(-1)
        second = (2 * self.log_scale).exp() + (self.loc - self.mean.unsqueeze(-2)).square()
        return (weights * second).sum(-2)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats."""
        return (self.log_weights + self._log_normals(value).sum(-1)).logsumexp(-1)

    def sample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """A component, then a draw from it, [*sample_shape, *batch_shape, D]."""
        with torch.no_grad():
            shape = (*sample_shape, *self.log_weights.shape)
            tiny = torch.finfo(self.loc.dtype).tiny
            noise = uniform_noise(shape, self.loc)
            gumbel = -(-noise.clamp_min(tiny).log()).clamp_min(tiny).log()
            chosen = (self.log_weights + gumbel).argmax(-1)[..., None, None]
            picked = chosen.expand(*chosen.shape[:-1], self.loc.shape[-1])
            parts = (self.loc, self.log_scale.exp())
            loc, scale = (p.expand(*shape, -1).gather(-2, picked).squeeze(-2) for p in parts)
            return torch.addcmul(loc, scale, normal_noise(loc.shape, loc))

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """The same draws, with implicit gradients."""
        z = self.sample(sample_shape)
        if not torch.is_grad_enabled():
            return z
        residual, jacobian = self._uniforms(z)
        return z - torch.linalg.solve_triangular(
            jacobian, (residual - residual.detach()).unsqueeze(-1), upper=False
        ).squeeze(-1)

    def expand(
        self, batch_shape: Size | tuple[int, ...], _instance: Distribution | None = None
    ) -> NormalMixture:
        """The same with a larger batch shape."""
        shape = (*batch_shape, *self.loc.shape[-2:])
        logits = self.log_weights.expand(shape[:-1])
        return NormalMixture(logits, self.loc.expand(shape), self.log_scale.expand(shape))

    def _log_normals(self, value: Tensor) -> Tensor:
        """Of each component in each dimension, [..., C, D]."""
        z = (value.unsqueeze(-2) - self.loc) * (-self.log_scale).exp()
        return -torch.addcmul(self.log_scale, z, z, value=0.5) - 0.5 * LOG_2PI

    def _uniforms(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """F(z), up to a constant, over the densities p(z_d | z_<d); its Jacobian in z, likewise.

        Both with z held constant; F has a gradient to the parameters, the Jacobian has none.
        """
        log_normals = self._log_normals(value)
        # log w_c p_c(z_<d): the weights of the components once the dimensions before are known
        before = log_normals.cumsum(-1) - log_normals
        log_given = (self.log_weights.unsqueeze(-1) + before).log_softmax(-2)
        given = log_given.exp()
        z = (value.unsqueeze(-2) - self.loc) * (-self.log_scale).exp()
        # the smaller tail has all its digits; weights sum to 1, so that Phi - 1 will do for Phi
        below = normal_cdf(z)
        upper = (given * below).detach().sum(-2, keepdim=True) > 0.5
        tail = torch.where(upper, -normal_cdf(-z), below)
        log_density = (log_given + log_normals).logsumexp(-2).detach()
        scale = (-log_density).exp()
        cdf = (given * tail).sum(-2) * scale
        with torch.no_grad():
            slopes = -z * (-self.log_scale).exp()  # of the log-densities, [..., C, D]
            mean_tail = (given * tail).sum(-2)
            weighted = torch.einsum("...cd,...ce->...de", given * tail, slopes)
            centre = torch.einsum("...cd,...ce->...de", given, slopes)
            jacobian = (weighted - mean_tail.unsqueeze(-1) * centre) * scale.unsqueeze(-1)
            jacobian = jacobian.tril(-1)
            jacobian.diagonal(dim1=-2, dim2=-1).fill_(1.0)
        return cdf, jacobian
