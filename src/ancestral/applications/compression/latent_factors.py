"""Priors and posteriors taken apart into factors that a stack can code, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.applications.compression.latent_coders import Factor
from ancestral.core import Batch, seeded
from ancestral.distributions import (
    Chain,
    DiagonalNormal,
    FullNormal,
    HeadDistribution,
    NormalMixture,
)
from ancestral.inference.posteriors import DiscreteLayers, ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["coding_posterior", "factors_of", "gaussian_like", "is_coded", "moments_of"]

_DRAWS_FOR_A_MOMENT = 16  # times the latent variables: covariances need more than there are
_DRAWS_AT_ONCE = 1 << 22  # numbers


def coding_posterior(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, seed: int
) -> Distribution:
    """What z is drawn from: q(z | x) where it can be coded, else a Gaussian with its moments.

    Posteriors that flows, Markov chains or auxiliary variables make have no cumulative functions
    of one variable given others. The Gaussian that has their mean and covariance is a posterior
    as good as any, with an ELBO of its own, and that is what is paid.

    Args:
        model: p.
        posterior: q.
        batch: rows.
        seed: of the draws that moments are estimated from.

    Returns:
        Batch shape [rows], event shape [L].
    """
    if batch.index is None:
        posterior = posterior.adapted(model, batch)
    if isinstance(posterior, ParametricPosterior):
        q = posterior.distribution(model, batch)
        if is_coded(q):
            return q
    with seeded(seed):
        return gaussian_like(posterior.proposal(model, batch))


def is_coded(given: Distribution) -> bool:
    """Whether there are `factors_of` it."""
    kinds = (Chain, DiagonalNormal, DiscreteLayers, FullNormal, HeadDistribution, NormalMixture)
    return isinstance(given, kinds)


def factors_of(given: Distribution) -> list[Factor]:
    """A distribution of vectors as factors, each over some columns given those before.

    Args:
        given: batch shape [rows] or [], event shape [L].
    """
    if isinstance(given, Chain):
        return _chained(given)
    if isinstance(given, DiscreteLayers):
        return _layered(given)
    if isinstance(given, FullNormal):
        size = given.event_shape[0]
        return [Factor(slice(i, i + 1), partial(_conditional, given, i)) for i in range(size)]
    return [Factor(slice(0, given.event_shape[0]), lambda _: given)]


def moments_of(given: Distribution, num_draws: int = 8) -> tuple[Tensor, Tensor]:
    """Means and standard deviations, [rows, L], for choosing a grid; rough where not known.

    Of a chain, whose layers depend on draws of each other, the deviations are those of the
    layers given each other, which is what has to be resolved.
    """
    if isinstance(given, DiscreteLayers | HeadDistribution):
        z = given.sample()
        return z, torch.full_like(z, torch.inf)  # steps of one
    if not isinstance(given, Chain):
        loc, scale = given.mean, given.variance.sqrt()
        if isinstance(given, FullNormal):  # the deviation given the others before it
            scale = given.scale_tril.diagonal(dim1=-2, dim2=-1).expand(loc.shape)
        if isinstance(given, NormalMixture):
            scale = given.log_scale.amin(-2).exp()
        return loc, scale
    locs, scales = [], []
    with seeded(0):
        for _ in range(num_draws):
            parts: list[tuple[Tensor, Tensor]] = [(Tensor(), Tensor())] * len(given.sizes)
            before = None
            for factor, place in zip(given.factors, given.places, strict=True):
                layer = factor(before)
                parts[place] = moments_of(layer)
                before = layer.sample()
            locs.append(torch.cat([loc for loc, _ in parts], -1))
            scales.append(torch.cat([scale for _, scale in parts], -1))
    return torch.cat(locs), torch.cat(scales)


def gaussian_like(propose: Callable[[int], object]) -> FullNormal:
    """The Gaussian whose mean and covariance are those of draws, [rows] of them.

    Correlations are shrunk towards 0 by the share of them that is noise: L in S + L for S draws.
    """
    first = _z(propose, 1)
    _, num_rows, size = first.shape
    num_draws = _DRAWS_FOR_A_MOMENT * size
    at_once = max(1, min(num_draws, _DRAWS_AT_ONCE // (num_rows * size)))
    counts = [min(at_once, num_draws - i) for i in range(0, num_draws, at_once)]
    z = torch.cat([_z(propose, count) for count in counts]).double()
    loc = z.mean(0)
    centred = (z - loc).movedim(0, 1)  # [rows, S, L]
    covariance = centred.mT @ centred / (num_draws - 1)
    kept = num_draws / (num_draws + size)
    diagonal = covariance.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12)
    covariance = kept * covariance + torch.diag_embed(diagonal - kept * diagonal)
    factor = torch.linalg.cholesky(covariance)
    return FullNormal(loc.to(first), factor.to(first))


def _z(propose: Callable[[int], object], count: int) -> Tensor:
    return propose(count).z.detach()  # type: ignore[attr-defined]


def _chained(chain: Chain) -> list[Factor]:
    ends = [sum(chain.sizes[: i + 1]) for i in range(len(chain.sizes))]
    places = [slice(e - s, e) for s, e in zip(chain.sizes, ends, strict=True)]
    factors: list[Factor] = []
    before: slice | None = None
    for factor, place in zip(chain.factors, chain.places, strict=True):

        def given(
            z: Tensor, factor: Callable = factor, above: slice | None = before
        ) -> Distribution:
            return factor(None if above is None else z[:, above].clone())

        factors.append(Factor(places[place], given))
        before = places[place]
    return factors


def _layered(layers: DiscreteLayers) -> list[Factor]:
    factors = []
    start = 0
    below: slice | None = None
    for index, size in enumerate(layers.sizes):

        def given(z: Tensor, index: int = index, below: slice | None = below) -> Distribution:
            logits = layers.logits(index, None if below is None else z[:, below].clone())
            head = layers.heads[index]
            return HeadDistribution(head, logits.unflatten(-1, head.feature_shape))

        below = slice(start, start + size)
        factors.append(Factor(below, given))
        start += size
    return factors


def _conditional(q: FullNormal, index: int, z: Tensor) -> DiagonalNormal:
    """N(z_i | z_<i): of z = m + F e the noise e_<i is known once z_<i is."""
    factor = q.scale_tril.expand(len(z), *q.scale_tril.shape[-2:])
    loc = q.loc.expand(len(z), -1)
    here = loc[:, index : index + 1]
    if index:
        known = (z - loc)[:, :index, None].clone()
        noise = torch.linalg.solve_triangular(factor[:, :index, :index], known, upper=False)
        here = here + (factor[:, index : index + 1, :index] @ noise).squeeze(-1)
    return DiagonalNormal(here, factor[:, index, index, None].log())
