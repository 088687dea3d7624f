"""`FullCovarianceNormal`: a Gaussian whose cells are correlated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core.shapes import numel
from ancestral.distributions.cells import single
from ancestral.distributions.gaussian import LOG_2PI, FullNormal, solve_tril
from ancestral.distributions.head import Head
from ancestral.distributions.scales import (
    MIN_LOG_SCALE,
    bound_below,
    log_scale_feature,
    moments,
)
from ancestral.distributions.support import REAL, check_support
from ancestral.distributions.wrapper import HeadDistribution

__all__ = ["FullCovarianceNormal"]


@dataclass(frozen=True)
class FullCovarianceNormal(Head):
    r"""N(loc, L L^T) over the D cells of an event.

    Features `(D + D (D + 1) / 2,)`: loc, log of L's diagonal (bounded below smoothly, as in
    `Normal`), then L below the diagonal, row by row. Memory grows with D^2 for each row.

    Missing cells are integrated out exactly: their rows and columns of the covariance are
    replaced by the identity's. That takes a QR decomposition of a 2D x D matrix for each row of
    data, since each may miss other cells.

    L^-1 grows as (|L_ij| / L_ii)^D: features far from 0 overflow in float32 for large D.

    Args:
        event_shape: shape of one x.
        min_log_scale: lower bound of the log of L's diagonal; `-math.inf` for none.

    Example:
        >>> FullCovarianceNormal((3,)).num_features
        9
    """

    event_shape: tuple[int, ...]
    min_log_scale: float = MIN_LOG_SCALE
    reparameterized: ClassVar[bool] = True

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(D + D (D + 1) / 2,)."""
        num_dims = numel(self.event_shape)
        return (num_dims + num_dims * (num_dims + 1) // 2,)

    def normal(self, features: Tensor) -> FullNormal:
        """The distribution of the flattened event."""
        features = single(features)
        num_dims = numel(self.event_shape)
        loc, diagonal, below = features.split(
            [num_dims, num_dims, self.num_features - 2 * num_dims], dim=-1
        )
        scale_tril = torch.diag_embed(bound_below(diagonal, self.min_log_scale).exp())
        row, column = torch.tril_indices(num_dims, num_dims, offset=-1, device=features.device)
        scale_tril[..., row, column] = below
        return FullNormal(loc, scale_tril)

    def log_prob(self, features: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log-density of the observed cells, [...]."""
        normal = self.normal(features)
        x = self._flat(x)
        if observed is None:
            return normal.log_prob(x)
        seen = self._flat(observed)
        keep = seen.to(normal.loc.dtype)
        # R^T R = M L L^T M + (1 - M) for the mask M, without squaring L's condition number
        tall = torch.cat(
            torch.broadcast_tensors(
                normal.scale_tril.mT * keep.unsqueeze(-2), torch.diag_embed(1 - keep)
            ),
            dim=-2,
        )
        upper = torch.linalg.qr(tall).R
        z = solve_tril(upper.mT, torch.where(seen, x - normal.loc, 0.0))
        log_det = upper.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1)
        return -0.5 * (z.square().sum(-1) + LOG_2PI * keep.sum(-1)) - log_det

    def __call__(self, features: Tensor) -> Distribution:
        """A `FullNormal` for vectors, else a `HeadDistribution`."""
        if len(self.event_shape) == 1:
            return self.normal(features)
        return HeadDistribution(self, features)

    def mean(self, features: Tensor) -> Tensor:
        """The location."""
        loc = single(features)[..., : numel(self.event_shape)]
        return loc.reshape(*loc.shape[:-1], *self.event_shape)

    def sample(self, features: Tensor) -> Tensor:
        """Loc + L noise."""
        draw = self.normal(features).rsample()
        return draw.reshape(*draw.shape[:-1], *self.event_shape)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Mean and deviations of the rows; correlations start at 0."""
        mean, std = moments(x, observed)
        diagonal = log_scale_feature(std, self.min_log_scale)
        num_below = self.num_features - 2 * numel(self.event_shape)
        return torch.cat([mean.flatten(), diagonal.flatten(), x.new_zeros(num_below)])

    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Refuse infinite values."""
        check_support(type(self).__name__, REAL, self.event_shape, x, observed)

    def _flat(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[: x.ndim - len(self.event_shape)], -1)
