"""Log-densities whose gradient passes through the sample alone."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core import IncompatibleChoices
from ancestral.inference.bounds import Bound
from ancestral.inference.posteriors import ParametricPosterior, Posterior

__all__ = ["KnowsSlopeOfDraws", "check_parametric", "log_prob_along_path"]


@runtime_checkable
class KnowsSlopeOfDraws(Protocol):
    """A distribution that has the slope of its log-density at its own draws at less cost.

    A flow, for one: to score a point that it did not draw it must be inverted.
    """

    def slope_of(self, value: Tensor) -> tuple[Tensor, Tensor] | None:
        """Log q and its gradient in z, without a graph; None for what was not drawn last."""
        ...


def log_prob_along_path(q: Distribution, z: Tensor) -> Tensor:
    r"""Log q(z), [samples, batch], with gradient dlog q / dz * dz and none of q's parameters.

    The distribution object is asked once more, rather than a copy with constant parameters, so
    that it works for any distribution, and an encoder with dropout is not run twice.
    """
    if not torch.is_grad_enabled() or not z.requires_grad:
        return q.log_prob(z).detach()
    known = q.slope_of(z) if isinstance(q, KnowsSlopeOfDraws) else None
    log_q, slope = _scored(q, z.detach()) if known is None else known
    moved = slope * (z - z.detach())
    return log_q.detach() + moved.flatten(log_q.ndim).sum(-1)


def _scored(q: Distribution, z: Tensor) -> tuple[Tensor, Tensor]:
    leaf = z.requires_grad_()
    log_q = q.log_prob(leaf)
    (slope,) = torch.autograd.grad(log_q.sum(), leaf)
    return log_q, slope


def check_parametric(estimator: object, bound: Bound, posterior: Posterior) -> None:
    """Refuse posteriors that are no distribution with a density of z."""
    if not isinstance(posterior, ParametricPosterior):
        raise IncompatibleChoices(
            f"{type(estimator).__name__} needs a posterior that is a distribution, got "
            f"{type(posterior).__name__} with {bound}",
            hint="use Pathwise(), which only needs samples",
        )
