"""Doubly reparameterised gradients of bounds with several samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.bounds import Bound, Elbo, ImportanceWeighted
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.log_weights import LogWeights, refuse_free_nats
from ancestral.inference.gradients.path_only import check_parametric, log_prob_along_path
from ancestral.inference.gradients.pathwise import (
    check_maximised,
    check_reparameterized,
    reparameterized_draws,
)
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["DoublyReparameterized"]

_NEARLY_TIED, _JUMP = 1e-6, 1e-3


@dataclass(frozen=True)
class DoublyReparameterized:
    r"""DReG: the score terms inside a bound of K samples, reparameterised once more.

    For the importance-weighted bound, with normalised weights :math:`\bar w_k`,

    .. math:: \nabla_\phi = \sum_k \bar w_k^2 \, \frac{\partial \log w_k}{\partial z_k}
              \frac{\partial z_k}{\partial \phi}, \qquad
              \nabla_\theta = \sum_k \bar w_k \, \nabla_\theta \log p_\theta(x, z_k)

    so the encoder's path has squared weights and the model the plain ones. The signal-to-noise
    ratio of the encoder's gradient then grows with K; that of `Pathwise` falls (Rainforth et al.,
    2018). For any other smooth bound L of independent samples the derivation gives
    :math:`\partial L / \partial \log w_k - \partial^2 L / \partial (\log w_k)^2` in place of the
    squared weights: for the ELBO this is `StickTheLanding`. Bounds that are not smooth, such as
    the largest weight (VR-max), are refused: at the ties the derivation fails.

    Cost:
        As `Pathwise`, and the density of q once more; K^2 numbers for each datum for bounds other
        than `Elbo` and `ImportanceWeighted`.

    Example:
        >>> from ancestral.inference.objectives import Variational
        >>> Variational(ImportanceWeighted(64), DoublyReparameterized()).gradient
        DoublyReparameterized()

    References:
        | Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives (Tucker, Lawson,
        | Gu & Maddison, 2019), equations 6 to 8
    """

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse draws that pass no gradient, upper bounds, and bounds that are not smooth."""
        del model
        check_reparameterized(self, bound, posterior)
        check_maximised(self, bound, posterior)
        check_parametric(self, bound, posterior)
        if not _is_smooth(bound):
            raise IncompatibleChoices(
                f"DoublyReparameterized needs a bound that is smooth in the log-weights, got "
                f"{bound}, whose gradient jumps where two samples weigh the same",
                hint="use Pathwise(), which differentiates every bound",
            )

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the bound; the gradient that reaches z is scaled on its way to the encoder."""
        assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
        refuse_free_nats(self, penalty)
        q = posterior.distribution(model, batch)
        z = reparameterized_draws(self, bound, posterior, q)
        terms = LogWeights.of(model, batch, z, log_prob_along_path(q, z))
        log_w = terms.weighted(penalty)
        if torch.is_grad_enabled() and z.requires_grad:
            share = 1 - penalty.weight * _curvature(bound, log_w.detach())
            num_axes = z.ndim - share.ndim
            share = share.reshape(*share.shape, *[1] * num_axes)
            # after log_w was computed from z: all that comes back along z passes here
            z.register_hook(lambda gradient: gradient * share)
        return terms.surrogate(bound, -bound(log_w).mean())


def _curvature(bound: Bound, log_w: Tensor) -> Tensor:
    """Second derivative of the bound by each log-weight, over the first one: [samples, batch]."""
    if isinstance(bound, Elbo):
        return torch.zeros_like(log_w)
    if isinstance(bound, ImportanceWeighted):
        return 1 - log_w.softmax(0)
    leaf = log_w.requires_grad_()
    with torch.enable_grad():
        first = _slope(bound, leaf, create_graph=True)
        # row k of the Hessian for every datum at once
        num_samples, num_rows = leaf.shape
        rows = torch.eye(num_samples, dtype=leaf.dtype, device=leaf.device)
        rows = rows.unsqueeze(-1).expand(-1, -1, num_rows)
        if first.requires_grad:
            (hessian,) = torch.autograd.grad(
                first, leaf, rows, is_grads_batched=True, materialize_grads=True
            )
        else:  # linear
            hessian = torch.zeros_like(rows)
    second = hessian.diagonal(dim1=0, dim2=1).T
    first = first.detach()
    # a weight that underflowed has no gradient to be scaled
    return torch.where(first == 0, 0.0, second / torch.where(first == 0, 1.0, first))


def _is_smooth(bound: Bound) -> bool:
    """Whether the bound's gradient is continuous where the two largest, or smallest, tie."""
    if bound.num_samples == 1:
        return True
    with torch.enable_grad():
        spread = torch.linspace(0.0, 1.0, bound.num_samples, dtype=torch.float64)
        above, below = spread.clone(), spread.clone()
        above[-2] = above[-1] + _NEARLY_TIED
        below[-2] = below[-1] - _NEARLY_TIED
        sides = torch.stack((above, below, -above, -below), 1).requires_grad_()
        slope = _slope(bound, sides, create_graph=False)
    jumps = (slope[:, ::2] - slope[:, 1::2]).abs()
    return bool(slope.isfinite().all()) and float(jumps.max()) < _JUMP


def _slope(bound: Bound, leaf: Tensor, *, create_graph: bool) -> Tensor:
    (slope,) = torch.autograd.grad(bound(leaf).sum(), leaf, create_graph=create_graph)
    return slope
