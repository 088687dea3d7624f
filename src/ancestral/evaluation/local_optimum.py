"""q*: the best posterior for each row that q's own family has, whatever the encoder can do."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ancestral.core import Batch, Draws, frozen
from ancestral.distributions import DiagonalNormal, FullNormal
from ancestral.inference.posteriors import ParametricPosterior, Posterior, Refinement
from ancestral.models import LatentVariableModel

__all__ = ["LocalOptimum", "locally_optimal"]

_BETAS = (0.9, 0.95)  # as in `PerDatum`: the first gradients may be huge
_FINE_TUNING = 0.01  # of the learning rate that free parameters get, for an encoder's weights


class LocalOptimum(NamedTuple):
    """What was fitted to some rows.

    Attributes:
        posterior: q*, of these rows in this order.
        family: what it was taken from, in words.
    """

    posterior: Posterior
    family: str


def locally_optimal(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, refinement: Refinement
) -> LocalOptimum | None:
    """Fit a member of q's family to each row, by Adam on its ELBO, from where q stands.

    A Gaussian q gets free parameters for each row. Of another reparameterised posterior a copy
    is trained on these rows alone, which for few rows comes to nearly the same.

    Args:
        model: p, which stays as it is.
        posterior: q, adapted to the rows.
        batch: the rows; a few dozen.
        refinement: steps, learning rate and samples.

    Returns:
        None where q passes no gradients, or has nothing to be fitted.

    References:
        | Inference Suboptimality in Variational Autoencoders (Cremer et al., 2018), section 3.3
    """
    q = _gaussian(model, posterior, batch)
    if q is not None:
        fitted = _Moved(q)
        _fit(model, fitted, batch, refinement, refinement.learning_rate)
        return LocalOptimum(fitted, fitted.family)
    if not posterior.reparameterized or not any(True for _ in posterior.parameters()):
        return None
    tuned = copy.deepcopy(posterior).requires_grad_(requires_grad=True)
    _fit(model, tuned, batch, refinement, _FINE_TUNING * refinement.learning_rate)
    return LocalOptimum(tuned, "a copy of q, trained on these rows alone")


@torch.no_grad()
def _gaussian(
    model: LatentVariableModel, posterior: Posterior, batch: Batch
) -> DiagonalNormal | FullNormal | None:
    if not isinstance(posterior, ParametricPosterior):
        return None
    q = posterior.distribution(model, batch)
    return q if isinstance(q, (DiagonalNormal, FullNormal)) else None


def _fit(
    model: LatentVariableModel,
    posterior: Posterior,
    batch: Batch,
    options: Refinement,
    learning_rate: float,
) -> None:
    parameters = list(posterior.parameters())
    optimizer = torch.optim.Adam(parameters, betas=_BETAS)
    with torch.enable_grad(), frozen(model):
        for step in range(options.num_steps):
            optimizer.param_groups[0]["lr"] = learning_rate * (1 - step / options.num_steps)
            z, log_q = posterior.draw(model, batch, options.num_samples)
            loss = (log_q - model.log_joint(batch.x, z, batch.observed)).mean(0).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    posterior.requires_grad_(requires_grad=False)


class _Moved(ParametricPosterior):
    """A Gaussian for each row, in units of the one it starts from: N(m + L d, (L E)(L E)^T).

    Args:
        start: N(m, L L^T), diagonal or full, batch shape [batch].
    """

    def __init__(self, start: DiagonalNormal | FullNormal) -> None:
        super().__init__()
        self.start = start
        loc = start.mean
        self.shift = nn.Parameter(torch.zeros_like(loc))
        self.log_stretch = nn.Parameter(torch.zeros_like(loc))
        if isinstance(start, FullNormal):
            size = loc.shape[-1]
            self.below = nn.Parameter(loc.new_zeros(*loc.shape[:-1], size, size))

    @property
    def family(self) -> str:
        """In words."""
        return "full-covariance Gaussian" if self._is_full else "diagonal Gaussian"

    @property
    def _is_full(self) -> bool:
        return isinstance(self.start, FullNormal)

    def distribution(self, model: LatentVariableModel, batch: Batch) -> Distribution:
        """The Gaussians of the rows it was made for."""
        del model, batch
        return self._at(self.shift, self.log_stretch, self.below if self._is_full else None)

    def _at(self, shift: Tensor, log_stretch: Tensor, below: Tensor | None) -> Distribution:
        start = self.start
        if isinstance(start, FullNormal):
            assert below is not None
            moved = start.loc + (start.scale_tril @ shift.unsqueeze(-1)).squeeze(-1)
            stretch = torch.diag_embed(log_stretch.exp()) + below.tril(-1)
            return FullNormal(moved, start.scale_tril @ stretch)
        moved = start.loc + start.stddev * shift
        return DiagonalNormal(moved, start.log_scale + log_stretch)

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Samples whose density passes gradients through z alone.

        The score of q has mean zero. Without it the gradient has no noise at the exact
        posterior, and little near it (Roeder et al., 2017).
        """
        z = self.distribution(model, batch).rsample(torch.Size((num_samples,)))
        below = self.below.detach() if self._is_full else None
        held = self._at(self.shift.detach(), self.log_stretch.detach(), below)
        return Draws(z, held.log_prob(z))
