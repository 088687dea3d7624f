"""Units in which the chains of an annealing path move: directions, and how narrow each gets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import Batch
from ancestral.models import LatentVariableModel

__all__ = ["Metric", "metric_of"]

_LARGEST = 256  # latent variables whose correlations are looked at; beyond it, their scales alone
_LEAST, _MOST = 400, 20_000  # draws from the prior
_MOST_SCORED = 2000
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Metric:
    r"""Coordinates u of z = A u, along which f_b has scales that are known about.

    At b = 0 they are 1; at b = 1 the precision has eigenvalues h in these units; in between

    .. math:: \text{scales}(b) = (1 - b + b h)^{-1/2}

    as it is for a linear Gaussian model. Leapfrog steps of these lengths suit all directions at
    once. They are units: whatever they are, transitions leave f_b invariant.

    Args:
        axes: A, [L, L] or [batch, L, L]; or its diagonal, [L] or [batch, L].
        inverse: of A, likewise.
        final: h, [L] or [batch, L], positive.
    """

    axes: Tensor
    inverse: Tensor
    final: Tensor

    def place(self, u: Tensor) -> Tensor:
        """Z = A u, of u [chains, batch, L]."""
        return _product(self.axes, u, is_matrix=self._has_matrices)

    def coordinates(self, z: Tensor) -> Tensor:
        """U of z [chains, batch, L]."""
        return _product(self.inverse, z, is_matrix=self._has_matrices)

    def pulled_back(self, gradient: Tensor) -> Tensor:
        """A' g, the gradient along u, of one along z, g [chains, batch, L]."""
        axes = self.axes.mT if self._has_matrices else self.axes
        return _product(axes, gradient, is_matrix=self._has_matrices)

    def scales(self, b: float) -> Tensor:
        """Of f_b along u, [L] or [batch, L]."""
        return (1 - b + b * self.final).rsqrt()

    @property
    def _has_matrices(self) -> bool:
        return self.axes.ndim > self.final.ndim


@torch.no_grad()
def metric_of(
    model: LatentVariableModel, batch: Batch, start: Tensor | None, rows_at_once: int
) -> Metric:
    """From simulated data alone: the chains that it moves have no part in it.

    The precision at b = 1 is taken to be C_0^{-1} + F, with C_0 the covariance of the prior and
    F the Fisher information: the mean of g g', g = grad_z log p(x | z), over z ~ p(z) and
    x ~ p(x | z), for the cells that a datum has. Of more than 256 latent variables only the
    scales are looked at.

    Args:
        model: p.
        batch: rows, of which only the gaps matter.
        start: lower triangular factor of the covariance at b = 0, [batch, L, L], or standard
            deviations [batch, L]; None if f_0 is the prior.
        rows_at_once: pairs of a simulated datum and a pattern of gaps that are scored together.

    Cost:
        20 L gradients (400 to 2000) for each pattern of gaps, and an eigendecomposition for each.

    References:
        | Riemann Manifold Langevin and Hamiltonian Monte Carlo (Girolami & Calderhead, 2011),
        | section 4: Fisher information plus the prior's precision
    """
    size = model.sample_latents(1).shape[-1]
    z = model.sample_latents(min(max(_LEAST, 100 * size), _MOST))
    full = size <= _LARGEST
    scored = z[: min(max(_LEAST, 20 * size), _MOST_SCORED)]
    fisher = _fisher_information(model, batch, scored, rows_at_once, full=full)
    dtype, z = z.dtype, z.double()
    if not full:
        variance = z.var(0) + _TINY
        if start is None:
            unit = variance.sqrt()
        else:
            unit = start.double() if start.ndim == 2 else start.double().norm(dim=-1)
        final = unit.square() * (1 / variance + fisher)
        return Metric(unit.to(dtype), (1 / unit).to(dtype), final.to(dtype))
    covariance = torch.cov(z.T).reshape(size, size)
    covariance.diagonal().add_(_TINY)
    factor = torch.linalg.cholesky(covariance)
    precision = torch.cholesky_inverse(factor) + fisher
    if start is not None:
        factor = start.double() if start.ndim == 3 else torch.diag_embed(start.double())
    # precision along the start's own units
    final, rotation = torch.linalg.eigh(factor.mT @ precision @ factor)
    axes = factor @ rotation
    identity = torch.eye(size, dtype=axes.dtype, device=axes.device)
    inverse = rotation.mT @ torch.linalg.solve_triangular(factor, identity, upper=False)
    return Metric(axes.to(dtype), inverse.to(dtype), final.clamp_min(_TINY).to(dtype))


def _fisher_information(
    model: LatentVariableModel, batch: Batch, z: Tensor, rows_at_once: int, *, full: bool
) -> Tensor:
    """F of the cells seen, [L, L] or [batch, L, L], or its diagonal; float64.

    Args:
        model: p.
        batch: rows.
        z: [draws, L], from the prior.
        rows_at_once: pairs scored together.
        full: whether the whole matrix is wanted.
    """
    patterns, which = None, None
    if batch.observed is not None:
        patterns, which = batch.observed.unique(dim=0, return_inverse=True)
    at_once = max(1, rows_at_once // len(z))
    pieces = (None,) if patterns is None else patterns.unsqueeze(1).split(at_once)
    totals = [torch.zeros((), dtype=torch.float64, device=z.device)] * len(pieces)
    for some in z.split(rows_at_once):
        x = model.likelihood.sample(some)
        for number, seen in enumerate(pieces):
            g = _score(model, x, some, seen).double()
            # a simulated datum whose gradient overflows says nothing
            g = torch.where(g.isfinite().all(-1, keepdim=True), g, 0.0)
            totals[number] = totals[number] + (g.mT @ g if full else g.square().sum(-2))
    fisher = torch.cat(totals) / len(z)
    return fisher[0] if which is None or len(fisher) == 1 else fisher[which]


def _score(model: LatentVariableModel, x: Tensor, z: Tensor, seen: Tensor | None) -> Tensor:
    """The gradient of log p(x | z) along z, [patterns, draws, L], for the cells that are seen."""
    patterns = 1 if seen is None else len(seen)
    x, z = x.expand(patterns, *x.shape), z.expand(patterns, *z.shape)
    observed = None
    if seen is not None:
        observed = seen.expand_as(x)
        x = torch.where(observed, x, 0.0)
    with torch.enable_grad():
        z = z.detach().clone().requires_grad_()
        log_likelihood = model.log_likelihood(x, z, observed)
        (gradient,) = torch.autograd.grad(log_likelihood.sum(), z)
    return gradient


def _product(matrix: Tensor, vectors: Tensor, *, is_matrix: bool) -> Tensor:
    """Matrix [L, L] or [batch, L, L], or a diagonal, times vectors [chains, batch, L]."""
    if not is_matrix:
        return vectors * matrix
    # in bfloat16, chains would move by the rounding
    with torch.autocast(vectors.device.type, enabled=False):
        if matrix.ndim == 2:
            return vectors @ matrix.mT
        return (vectors.transpose(0, 1) @ matrix.mT).transpose(0, 1)
