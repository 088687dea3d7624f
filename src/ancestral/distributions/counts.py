"""Cells that are counts: 0, 1, 2, ...

Densities are computed in double precision and rounded at the end: log(x!) of a count of 100,000
is a million, of which float32 keeps a tenth of a nat.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch import distributions as td

from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.scales import bound_above, inverse_softplus, moments
from ancestral.distributions.support import COUNTS, Support

__all__ = ["CountHead", "NegativeBinomial", "Poisson", "ZeroInflatedNegativeBinomial"]

_LEAST_MEAN = 1e-3

# above an inverse dispersion of e^16 the distribution is a Poisson's in all but name, and the
# log-gammas begin to lose digits
_MAX_LOG_THETA = 16.0

_BLOCK = 64  # counts whose masses `icdf` adds up first; four times as many each time after
_MOST_MASSES = 1 << 22  # at a time: 32 MB
_LARGEST = 2.0**40  # counts beyond which masses of a double are not told apart


class CountHead(CellHead):
    """Cells that are counts, whose quantiles are found by adding up their masses."""

    @property
    def support(self) -> Support:
        """Counts."""
        return COUNTS

    @abstractmethod
    def _far_below(self, features: Tensor) -> Tensor:
        """A count below which there is next to no mass, [..., *event_shape]."""

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """The first count whose cumulative mass reaches u.

        It costs as many masses as there are counts between the quantile and where the masses
        begin to matter: some ten standard deviations.
        """
        dtype, features = u.dtype, single(features).double()
        start, u = torch.broadcast_tensors(self._far_below(features), u.double())
        parameters = features.movedim(self.axis, -1).expand(*start.shape, self.num_parameters)
        cells = (parameters.flatten(0, -2), start.flatten(), u.flatten())
        parts = (cell.split(_MOST_MASSES // _BLOCK) for cell in cells)
        found = [self._quantiles(*part) for part in zip(*parts, strict=True)]
        return torch.cat(found).reshape(start.shape).to(dtype)

    def _quantiles(self, parameters: Tensor, start: Tensor, u: Tensor) -> Tensor:
        """Of single cells, [n]: those not found yet go on to the next block of counts.

        Args:
            parameters: [n, P].
            start: [n], counts from which on masses are added up.
            u: [n].
        """
        found = torch.empty_like(start)
        left = torch.arange(len(start), device=start.device)
        below = torch.zeros_like(start)
        ones = [1] * len(self.event_shape)
        block = _BLOCK
        while len(left):
            counts = start + torch.arange(block, dtype=u.dtype, device=u.device).unsqueeze(1)
            features = parameters.unflatten(1, (-1, *ones))
            each = self.log_prob_cells(features, counts.unflatten(1, (-1, *ones)))
            each = each.reshape(counts.shape)
            cumulative = below + each.exp().cumsum(0)
            reached = (cumulative < u).sum(0)
            inside = reached < block
            # where rounding keeps the sum below u for good, the last mass that counts is it
            spent = (each[-1] < -745) & (below > 0.5)
            done = inside | spent | (start > _LARGEST)
            found[left[done]] = torch.where(inside, start + reached, start)[done]
            going = ~done
            left, parameters, u = left[going], parameters[going], u[going]
            start, below = start[going] + block, cumulative[-1][going]
            block = min(4 * block, max(_BLOCK, _MOST_MASSES // max(1, len(left))))
        return found


@dataclass(frozen=True)
class Poisson(CountHead):
    """Log p(x) = x log m - m - log x!, features `(1, *event_shape)`: log m, the log-mean.

    Args:
        event_shape: shape of one x.
    """

    event_shape: tuple[int, ...]

    @property
    def num_parameters(self) -> int:
        """The log of the mean."""
        return 1

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        log_mean, x = features.select(self.axis, 0).double(), x.double()
        return (x * log_mean - log_mean.exp() - torch.lgamma(x + 1)).to(features.dtype)

    def _far_below(self, features: Tensor) -> Tensor:
        mean = self.mean(features)
        return (mean - 12 * mean.sqrt() - 30).clamp_min(0).floor()

    def mean(self, features: Tensor) -> Tensor:
        """Exp of the feature."""
        return single(features).select(self.axis, 0).exp()

    def sample(self, features: Tensor) -> Tensor:
        """A draw, without gradient."""
        return torch.poisson(self.mean(features).detach())

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log of the rows' mean, of at least 0.001."""
        mean, _ = moments(x, observed)
        return mean.clamp_min(_LEAST_MEAN).log().unsqueeze(0)

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Poisson."""
        return td.Poisson(self.mean(features), validate_args=False)


@dataclass(frozen=True)
class NegativeBinomial(CountHead):
    r"""Counts with mean m and variance m + m^2 / theta: a Poisson whose rate is gamma.

    .. math:: p(x) = \frac{\Gamma(x + \theta)}{x!\, \Gamma(\theta)}
        \left(\frac{\theta}{\theta + m}\right)^\theta \left(\frac{m}{\theta + m}\right)^x

    Features `(2, *event_shape)`: log m and log theta, the inverse dispersion, which is bounded
    above at e^16, smoothly. For a dispersion shared by all rows let the network append a
    parameter to its features.

    Args:
        event_shape: shape of one x.

    References:
        | Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018)
        | https://doi.org/10.1038/s41592-018-0229-2
    """

    event_shape: tuple[int, ...]

    @property
    def num_parameters(self) -> int:
        """Log-mean and log inverse dispersion."""
        return 2

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        log_mean, log_theta = features.double().unbind(self.axis)
        return _negative_binomial(log_mean, log_theta, x.double()).to(features.dtype)

    def _far_below(self, features: Tensor) -> Tensor:
        log_mean, log_theta = features.unbind(self.axis)
        mean, theta = log_mean.exp(), bound_above(log_theta, _MAX_LOG_THETA).exp()
        return (mean - 12 * (mean + mean.square() / theta).sqrt() - 30).clamp_min(0).floor()

    def mean(self, features: Tensor) -> Tensor:
        """Exp of the first feature."""
        return single(features).select(self.axis, 0).exp()

    def sample(self, features: Tensor) -> Tensor:
        """A Poisson draw at a gamma draw, without gradient."""
        log_mean, log_theta = single(features).detach().unbind(self.axis)
        return _draw(log_mean, log_theta)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """The m and theta that have the rows' mean and variance."""
        return torch.stack(_from_moments(x, observed))


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomial(CountHead):
    """A negative binomial, or, with the probability of a dropout, 0.

    Features `(3, *event_shape)`: log m, log theta, and the logit of the dropout.

    Args:
        event_shape: shape of one x.

    References:
        | Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018)
        | https://doi.org/10.1038/s41592-018-0229-2
    """

    event_shape: tuple[int, ...]

    @property
    def num_parameters(self) -> int:
        """Log-mean, log inverse dispersion, logit of the dropout."""
        return 3

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        log_mean, log_theta, logit = features.double().unbind(self.axis)
        count = F.logsigmoid(-logit) + _negative_binomial(log_mean, log_theta, x.double())
        zero = torch.logaddexp(F.logsigmoid(logit), count)
        return torch.where(x == 0, zero, count).to(features.dtype)

    def _far_below(self, features: Tensor) -> Tensor:
        return torch.zeros_like(features.select(self.axis, 0))

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """0 where u is below the dropout, else the negative binomial's at what is left of u."""
        dropout = single(features).select(self.axis, 2).sigmoid()
        left = (u - dropout) / (1 - dropout)
        inside = left.clamp(torch.finfo(u.dtype).tiny, 1 - torch.finfo(u.dtype).eps / 2)
        counts = NegativeBinomial(self.event_shape).icdf(features.narrow(self.axis, 0, 2), inside)
        return torch.where(left > 0, counts, 0.0)

    def mean(self, features: Tensor) -> Tensor:
        """(1 - dropout) m."""
        log_mean, _, logit = single(features).unbind(self.axis)
        return torch.sigmoid(-logit) * log_mean.exp()

    def sample(self, features: Tensor) -> Tensor:
        """A draw, without gradient."""
        log_mean, log_theta, logit = single(features).detach().unbind(self.axis)
        kept = torch.rand_like(logit) >= logit.sigmoid()
        return torch.where(kept, _draw(log_mean, log_theta), 0.0)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """The rows' mean and variance, under a dropout of a tenth."""
        log_mean, log_theta = _from_moments(x, observed)
        dropout = torch.full_like(log_mean, 0.1)
        return torch.stack([log_mean - torch.log1p(-dropout), log_theta, dropout.logit()])


def _negative_binomial(log_mean: Tensor, log_theta: Tensor, x: Tensor) -> Tensor:
    log_theta = bound_above(log_theta, _MAX_LOG_THETA)
    theta = log_theta.exp()
    binomial = torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)
    difference = log_mean - log_theta
    return binomial - theta * F.softplus(difference) - x * F.softplus(-difference)


def _draw(log_mean: Tensor, log_theta: Tensor) -> Tensor:
    theta = bound_above(log_theta, _MAX_LOG_THETA).exp()
    return torch.poisson(torch._standard_gamma(theta) * log_mean.exp() / theta)


def _from_moments(x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor]:
    mean, std = moments(x, observed)
    mean = mean.clamp_min(_LEAST_MEAN)
    excess = (std.square() - mean).clamp_min(1e-2 * mean.square())
    theta = (mean.square() / excess).clamp(1e-2, 1e2)
    room = _MAX_LOG_THETA - theta.log()
    return mean.log(), _MAX_LOG_THETA - inverse_softplus(room)
