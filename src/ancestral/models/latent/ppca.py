"""Probabilistic principal component analysis: exact log p, exact posterior, exact fit."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ancestral.core import Batch, DataError
from ancestral.core.shapes import expect_event
from ancestral.distributions import FullNormal, Normal
from ancestral.models.gaussian import StandardNormalPrior
from ancestral.models.latent.model import LatentVariableModel
from ancestral.models.network_conditional import NetworkConditional

__all__ = ["ProbabilisticPCA"]

_MAX_ITERATIONS = 1000


class ProbabilisticPCA(LatentVariableModel):
    r"""z ~ N(0, I), x | z ~ N(W z + m, s^2 I): marginally x ~ N(m, W W^T + s^2 I).

    Everything is closed: log p(x) (with any cells missing), the posterior p(z | x), and, for
    complete data, the maximum-likelihood fit. So it is also the oracle that every bound and
    estimator of the library is tested against.

    Args:
        shape: of one datum; D cells.
        latent_size: L < D.

    References:
        | Probabilistic Principal Component Analysis (Tipping & Bishop, 1999): equations 3 (the
        | marginal), 6 (the posterior), 7 and 8 (maximum likelihood), appendix B (EM)
    """

    def __init__(self, shape: tuple[int, ...], latent_size: int) -> None:
        num_dims = math.prod(shape)
        if not 1 <= latent_size < num_dims:
            raise DataError(
                f"expected 1 <= latent_size < n_features = {num_dims}, got {latent_size}",
                hint="a probabilistic PCA needs fewer latent variables than cells",
            )
        network = _LinearGaussian(latent_size, num_dims)
        # no lower bound on the scale: the marginal of the closed formulas has none either
        likelihood = NetworkConditional(network, Normal(shape, min_log_scale=-math.inf))
        super().__init__(StandardNormalPrior(latent_size), likelihood)
        self.shape = shape

    @property
    def weight(self) -> Tensor:
        """W, [D, L]."""
        return self._linear.weight

    @property
    def loc(self) -> Tensor:
        """m, [D]."""
        return self._linear.bias

    @property
    def noise_scale(self) -> Tensor:
        """s, []."""
        return self._linear.log_noise_scale.exp()

    @property
    def _linear(self) -> _LinearGaussian:
        assert isinstance(self.likelihood, NetworkConditional)
        network = self.likelihood.network
        assert isinstance(network, _LinearGaussian)
        return network

    def log_prob(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Exact log p(x) in nats, [batch]; missing cells are integrated out."""
        centred, projected, precision = self._sufficient(x, observed)
        factor = torch.linalg.cholesky(precision)
        z = torch.cholesky_solve(projected.unsqueeze(-1), factor).squeeze(-1)
        residual = centred - z @ self.weight.T
        if observed is not None:
            residual = residual * self._flat(observed)
        # (x - m)' C^-1 (x - m) as a sum of squares at the posterior mean: the usual difference of
        # two large numbers loses its digits in float32
        squares = residual.square().sum(-1) / self.noise_scale.square() + z.square().sum(-1)
        log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        num_cells = len(self.loc) if observed is None else self._flat(observed).sum(-1)
        constant = math.log(2 * math.pi) + 2 * self.noise_scale.log()
        return -0.5 * (num_cells * constant + log_det + squares)

    def posterior(self, x: Tensor, observed: Tensor | None = None) -> FullNormal:
        """Exact p(z | x), batch shape [batch]."""
        _, projected, precision = self._sufficient(x, observed)
        # J M J = R R' with the exchange matrix J gives M^-1 = F F' with the lower triangular
        # F = J R^-T J, and never forms the covariance
        flipped = torch.linalg.cholesky(precision.flip((-2, -1)))
        identity = torch.eye(flipped.shape[-1], dtype=flipped.dtype, device=flipped.device)
        inverse = torch.linalg.solve_triangular(flipped, identity, upper=False)
        factor = inverse.mT.flip((-2, -1)).expand(*projected.shape, -1)
        loc = (factor @ (factor.mT @ projected.unsqueeze(-1))).squeeze(-1)
        return FullNormal(loc, factor)

    @torch.no_grad()
    def fit_batches(self, batches: Callable[[], Iterable[Batch]]) -> str:
        """Set W, m and s to maximum likelihood, and say how.

        Complete data are read twice, batch by batch; data with gaps are held in memory.

        Args:
            batches: gives the rows anew at each call.
        """
        moments = _moments(batches)
        if moments is not None:
            self.fit_moments(*moments)
            return "maximum likelihood in closed form"
        iterations = self.fit_closed_form(*_all_rows(batches()))
        return f"maximum likelihood by {iterations} iterations of EM (cells are missing)"

    @torch.no_grad()
    def fit_closed_form(self, x: Tensor, observed: Tensor | None = None) -> int:
        """Set W, m and s to maximum likelihood; with missing cells, by EM until it stands.

        Computed in double precision, whatever that of the data.

        Args:
            x: [rows, *shape], missing cells zero.
            observed: [rows, *shape] bool or None.

        Returns:
            Iterations of EM; 0 where the solution is in closed form.
        """
        latent_size = self.weight.shape[1]
        rows = self._flat(x).double()
        self._expect_enough(len(rows))
        if observed is None:
            loc = rows.mean(0)
            self.fit_moments(loc, (rows - loc).T @ (rows - loc) / len(rows), len(rows))
            return 0
        mask = self._flat(observed).double()
        count = mask.sum(0).clamp_min(1)
        origin = (rows * mask).sum(0) / count
        # far from zero, the sums of squares of EM would lose their digits
        rows = (rows - origin) * mask
        # start from the rows filled with means, whose variances are too small by the gaps' share
        variance = rows.square().sum(0) / count
        gaps = variance * (1 - mask.mean(0)) + 1e-6 * variance.mean()
        start = _principal(rows.T @ rows / len(rows) + torch.diag(gaps), latent_size)
        work = copy.deepcopy(self).double()
        work._set(start[0], torch.zeros_like(origin), start[1])
        iterations = work._expectation_maximization(rows, mask)
        self._set(work.weight, work.loc + origin, work.noise_scale.square())
        return iterations

    @torch.no_grad()
    def fit_moments(self, loc: Tensor, covariance: Tensor, num_rows: int) -> None:
        """Set W, m and s to maximum likelihood, given the moments of complete data.

        Args:
            loc: [D], mean of the rows.
            covariance: [D, D], of the rows, divided by their number.
            num_rows: how many there were.
        """
        self._expect_enough(num_rows)
        weight, noise = _principal(covariance.double(), self.weight.shape[1])
        self._set(weight, loc, noise)

    def _expect_enough(self, num_rows: int) -> None:
        if num_rows <= self.weight.shape[1]:
            raise DataError(
                f"expected more rows than latent variables ({self.weight.shape[1]}), "
                f"got n_samples = {num_rows}"
            )

    def _set(self, weight: Tensor, loc: Tensor, noise_variance: Tensor) -> None:
        self._linear.weight.copy_(weight)
        self._linear.bias.copy_(loc)
        self._linear.log_noise_scale.copy_(0.5 * noise_variance.log())

    def _expectation_maximization(self, rows: Tensor, mask: Tensor) -> int:
        """EM over the observed cells, until log p rises by less than 1e-6 nats a row.

        Args:
            rows: [N, D], missing cells zero.
            mask: [N, D], 1 or 0.
        """
        x, observed = rows.reshape(-1, *self.shape), mask.reshape(-1, *self.shape) > 0
        previous = -math.inf
        for iteration in range(_MAX_ITERATIONS):
            log_prob = float(self.log_prob(x, observed).mean())
            if log_prob - previous < 1e-6:
                return iteration
            previous = log_prob
            self._maximization_step(rows, mask, self.posterior(x, observed))
        return _MAX_ITERATIONS

    def _maximization_step(self, rows: Tensor, mask: Tensor, q: FullNormal) -> None:
        """Regress each x_d on (z, 1) over the rows in which it is observed."""
        size = q.loc.shape[1]
        z1 = torch.cat((q.loc, torch.ones_like(q.loc[:, :1])), -1)
        moments = z1.unsqueeze(-1) * z1.unsqueeze(-2)  # [N, L + 1, L + 1]
        moments[:, :size, :size] += q.covariance_matrix
        gram = (mask.T @ moments.flatten(1)).unflatten(-1, (size + 1, size + 1))
        cross = rows.T @ z1
        # a column without any value has no regression: it gets W = 0
        ridge = 1e-12 * torch.eye(size + 1, dtype=rows.dtype, device=rows.device)
        solution = torch.linalg.solve(gram + ridge, cross.unsqueeze(-1)).squeeze(-1)
        residual = rows.square().sum() - (solution * cross).sum()
        noise_variance = (residual / mask.sum()).clamp_min(1e-30)
        self._set(solution[:, :size], solution[:, size], noise_variance)

    def _sufficient(self, x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """X - m [..., D], W' (x - m) / s^2 [..., L], and M = I + W' W / s^2 [..., L, L]."""
        weight = self.weight
        size = weight.shape[1]
        variance = self.noise_scale.square()
        centred = self._flat(x) - self.loc
        if observed is None:
            gram = weight.T @ weight
        else:
            mask = self._flat(observed).to(weight.dtype)
            centred = centred * mask
            # through the D outer products: [..., D, L] would not fit for large data
            outer = (weight.unsqueeze(-1) * weight.unsqueeze(-2)).flatten(1)
            gram = (mask @ outer).unflatten(-1, (size, size))
        identity = torch.eye(size, dtype=weight.dtype, device=weight.device)
        return centred, centred @ weight / variance, identity + gram / variance

    def _flat(self, x: Tensor) -> Tensor:
        """[..., *shape] -> [..., D]."""
        expect_event(x, self.shape, "data")
        return x.reshape(*x.shape[: x.ndim - len(self.shape)], len(self.loc))


def _moments(batches: Callable[[], Iterable[Batch]]) -> tuple[Tensor, Tensor, int] | None:
    """Mean [D], covariance [D, D] and number of rows; None if a cell is missing."""
    total, num_rows = torch.zeros(()).double(), 0
    for batch in batches():
        if batch.observed is not None and not bool(batch.observed.all()):
            return None
        total = total + batch.x.flatten(1).double().sum(0)
        num_rows += len(batch)
    loc = total / num_rows
    # a second pass: the squares of data far from zero would drown their spread
    covariance = torch.zeros(()).double()
    for batch in batches():
        centred = batch.x.flatten(1).double() - loc
        covariance = covariance + centred.T @ centred
    return loc, covariance / num_rows, num_rows


def _all_rows(batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    kept = list(batches)
    masks = [
        torch.ones_like(b.x, dtype=torch.bool) if b.observed is None else b.observed for b in kept
    ]
    return torch.cat([b.x for b in kept]), torch.cat(masks)


def _principal(covariance: Tensor, latent_size: int) -> tuple[Tensor, Tensor]:
    """W and s^2 at maximum likelihood, from the data's covariance (equations 7 and 8)."""
    eigenvalues, vectors = torch.linalg.eigh(covariance)  # ascending
    top = eigenvalues[-latent_size:].flip(0)
    floor = 1e-8 * float(eigenvalues.clamp_min(0).mean()) + 1e-30
    noise = eigenvalues[:-latent_size].mean().clamp_min(floor)
    weight = vectors[:, -latent_size:].flip(1) * (top - noise).clamp_min(0).sqrt()
    return weight, noise


class _LinearGaussian(nn.Module):
    """z -> (W z + m, log s): the features of a Normal head, [..., 2, *shape] flattened."""

    def __init__(self, latent_size: int, num_dims: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_dims, latent_size) / math.sqrt(latent_size))
        self.bias = nn.Parameter(torch.zeros(num_dims))
        self.log_noise_scale = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor) -> Tensor:
        loc = z @ self.weight.T + self.bias
        return torch.cat((loc, self.log_noise_scale.expand_as(loc)), -1)
