"""The path of densities that annealed importance sampling follows, and steps along it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from ancestral.core import Batch, IncompatibleChoices
from ancestral.distributions import FullNormal
from ancestral.inference.evidence.metric import Metric, metric_of
from ancestral.inference.mcmc import LogDensity
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["AnnealingPath", "PathPoint", "Start", "path_of", "sigmoid_schedule"]

_SHARPNESS = 4.0
_DRAWS_OF_Q = 200  # for each datum, for its standard deviations


class Start(StrEnum):
    """The density at temperature 0 of an annealing path, from which chains start."""

    AUTO = "auto"  # q(z | x) where it has a density that can be evaluated, else the prior
    PRIOR = "prior"
    POSTERIOR = "posterior"  # q(z | x)


def sigmoid_schedule(num_temperatures: int) -> list[float]:
    r"""0 = b_0 < ... < b_T = 1, dense near both ends, where the densities change fastest.

    .. math:: \tilde b_t = \sigma\big(\delta (2 t / T - 1)\big), \quad
              b_t = \frac{\tilde b_t - \tilde b_0}{\tilde b_T - \tilde b_0}, \quad \delta = 4

    Example:
        >>> [round(b, 3) for b in sigmoid_schedule(4)]
        [0.0, 0.105, 0.5, 0.895, 1.0]

    References:
        | Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo (Grosse, Ghahramani
        | & Adams, 2015), section 6
    """
    raw = [
        1 / (1 + math.exp(-_SHARPNESS * (2 * t / num_temperatures - 1)))
        for t in range(num_temperatures + 1)
    ]
    first, last = raw[0], raw[-1]
    return [(value - first) / (last - first) for value in raw]


@dataclass(frozen=True, eq=False)
class PathPoint:
    """A place z, with both densities there: at another temperature nothing is computed anew.

    Attributes:
        z: [chains, batch, L], in the coordinates of the path's metric.
        weights: of the two at the present temperature.
        first: [...], the density that z starts from.
        second: [...], the one that comes in.
        first_gradient: [..., L].
        second_gradient: [..., L].
    """

    z: Tensor
    weights: tuple[float, float]
    first: Tensor
    second: Tensor
    first_gradient: Tensor
    second_gradient: Tensor

    @property
    def log_density(self) -> Tensor:
        """Log f of the present temperature, [...]."""
        return self.weights[0] * self.first + self.weights[1] * self.second

    @property
    def gradient(self) -> Tensor:
        """Of `log_density`, [..., L]."""
        return self.weights[0] * self.first_gradient + self.weights[1] * self.second_gradient

    def where(self, chosen: Tensor, other: PathPoint) -> PathPoint:
        """This point where `chosen` [...], the other one elsewhere."""
        rows = chosen.unsqueeze(-1)
        return PathPoint(
            torch.where(rows, self.z, other.z),
            self.weights,
            torch.where(chosen, self.first, other.first),
            torch.where(chosen, self.second, other.second),
            torch.where(rows, self.first_gradient, other.first_gradient),
            torch.where(rows, self.second_gradient, other.second_gradient),
        )


@dataclass(frozen=True, eq=False)
class AnnealingPath:
    r"""The geometric path log f_b = (1 - s b) log g + b log h.

    From the prior: g = p(z), h = p(x | z), s = 0. From q: g = q(z | x), h = p(x, z), s = 1.

    Args:
        first: log g, whose draws start the chains.
        second: log h.
        slope: s.
        draw: num_chains -> z [chains, batch, L] from g.
        metric: the coordinates in which chains move. Ratios of densities, hence weights and
            acceptance, are the same in all coordinates.
    """

    first: LogDensity
    second: LogDensity
    slope: float
    draw: Callable[[int], Tensor]
    metric: Metric

    def weights(self, b: float) -> tuple[float, float]:
        """Of log g and log h at inverse temperature b."""
        return 1 - self.slope * b, b

    def at(self, point: PathPoint, b: float) -> PathPoint:
        """The same place at another temperature."""
        parts = (point.first, point.second, point.first_gradient, point.second_gradient)
        return PathPoint(point.z, self.weights(b), *parts)

    def increment(self, point: PathPoint, b: float, next_b: float) -> Tensor:
        """Log f_next(z) - log f_b(z), [...]: nothing if z is where h is 0 and b does not move."""
        return (next_b - b) * (point.second - self.slope * point.first)

    def begin(self, z: Tensor, b: float) -> PathPoint:
        """The point at z [chains, batch, L]."""
        return self.evaluate(self.metric.coordinates(z), b)

    def evaluate(self, u: Tensor, b: float) -> PathPoint:
        """Both densities and their gradients at z = A u, as constants."""
        with torch.enable_grad():
            z = self.metric.place(u).detach().requires_grad_()
            first, second = self.first(z), self.second(z)
            # for the prior this is next to nothing; one backward pass through the decoder
            (g,) = torch.autograd.grad(first.sum(), z, retain_graph=True)
            (h,) = torch.autograd.grad(second.sum(), z)
        g, h = self.metric.pulled_back(torch.cat((g, h))).split(len(u))
        return PathPoint(u, self.weights(b), first.detach(), second.detach(), g, h)


def path_of(
    start: Start,
    model: LatentVariableModel,
    posterior: Posterior | None,
    batch: Batch,
    rows_at_once: int,
) -> AnnealingPath:
    """The path to p(x, z) of the rows of a batch.

    Raises:
        IncompatibleChoices: z is discrete; or there is no q to start from, or q has no density.
    """
    refuse_discrete(model)
    if start is Start.PRIOR:
        return _from_prior(model, batch, rows_at_once)
    try:
        return _from_posterior(model, posterior, batch, rows_at_once)
    except IncompatibleChoices:
        if start is Start.POSTERIOR:
            raise
        return _from_prior(model, batch, rows_at_once)


def _from_prior(model: LatentVariableModel, batch: Batch, rows_at_once: int) -> AnnealingPath:
    prior = model.prior()
    return AnnealingPath(
        model.log_prior,
        lambda z: model.log_likelihood(batch.x, z, batch.observed),
        0.0,
        lambda num_chains: prior.sample((num_chains, len(batch))),
        metric_of(model, batch, None, rows_at_once),
    )


def _from_posterior(
    model: LatentVariableModel, posterior: Posterior | None, batch: Batch, rows_at_once: int
) -> AnnealingPath:
    if posterior is None or not posterior.has_density:
        raise IncompatibleChoices(
            "expected a posterior with a density to start from, got none",
            hint="start from the prior",
        )
    adapted = posterior.adapted(model, batch)
    rows = batch if adapted is posterior else batch.with_index(None)
    propose = adapted.proposal(model, rows)
    log_q = _log_density(model, adapted, rows)
    try:
        log_q(propose(1).z)
    except (IncompatibleChoices, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it has no density"
        raise IncompatibleChoices(
            f"{type(posterior).__name__} cannot start an annealing path, since q(z | x) cannot be "
            f"evaluated at any z: {reason}",
            hint="start from the prior",
        ) from None
    return AnnealingPath(
        log_q,
        lambda z: model.log_joint(batch.x, z, batch.observed),
        1.0,
        lambda num_chains: propose(num_chains).z,
        metric_of(model, batch, _spread(model, adapted, rows), rows_at_once),
    )


@torch.no_grad()
def _spread(model: LatentVariableModel, posterior: Posterior, rows: Batch) -> Tensor:
    """The factor of q's covariance [batch, L, L] if it has one, else standard deviations."""
    if isinstance(posterior, ParametricPosterior):
        q = posterior.distribution(model, rows)
        if isinstance(q, FullNormal):
            size = q.event_shape[0]
            return q.scale_tril.expand(len(rows), size, size)
    return posterior.draw(model, rows, _DRAWS_OF_Q).z.std(0)


def _log_density(model: LatentVariableModel, posterior: Posterior, rows: Batch) -> LogDensity:
    """Log q(z | x) of some rows, for which x is read once where it can be."""
    if isinstance(posterior, ParametricPosterior):
        with torch.no_grad():
            return posterior.distribution(model, rows).log_prob
    return lambda z: posterior.log_prob(model, rows, z)


def refuse_discrete(model: LatentVariableModel) -> None:
    """Refuse latent variables on which Hamiltonian transitions cannot move.

    Raises:
        IncompatibleChoices: p(z) is over discrete values.
    """
    prior = model.prior()
    try:
        discrete = bool(getattr(prior.support, "is_discrete", False))
    except (NotImplementedError, AttributeError):
        discrete = not prior.has_rsample
    if discrete:
        raise IncompatibleChoices(
            "annealed importance sampling moves z by Hamiltonian dynamics, which needs continuous "
            f"latent variables, got {type(prior).__name__}",
            hint="use importance sampling (--method importance), with more samples",
        )
