"""Whether the latent variables are used: KL per dimension, active units, posterior collapse."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core import Accumulated, Batch, IncompatibleChoices, derived_seed, seeded
from ancestral.core.noise import own_noise
from ancestral.core.row_noise import RowKeys
from ancestral.distributions import kl_terms
from ancestral.evaluation.latent_use import ACTIVE_VARIANCE, LatentUse
from ancestral.evaluation.latents import adapted_to, kl_by_dimension, two_means
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel, LayeredPrior

__all__ = ["ACTIVE_VARIANCE", "LatentUse", "VariationalTerms", "variational_terms"]

_NOISE = 0x16  # stream of derived seeds


@dataclass(frozen=True)
class VariationalTerms:
    """The two terms of the ELBO for each datum, and the use of the latent variables.

    Args:
        reconstruction: [rows], E_q log p(x | z) in nats, from samples.
        kl: [rows], KL(q || p) in nats; in closed form where there is one.
        num_samples: draws of z behind each value.
        use: of the latent variables.
    """

    reconstruction: Tensor
    kl: Tensor
    num_samples: int
    use: LatentUse

    @property
    def elbo(self) -> Tensor:
        """[rows], nats."""
        return self.reconstruction - self.kl


@torch.no_grad()
def variational_terms(
    model: LatentVariableModel,
    posterior: Posterior,
    batches: Iterable[Batch],
    *,
    num_samples: int = 10,
    seed: int = 0,
) -> VariationalTerms:
    """One pass over the data: ELBO, KL of each dimension, and variance of the posterior means.

    Args:
        model: p.
        posterior: q; per-datum ones are first fitted to the rows.
        batches: the data; (samples x rows of a batch) codes are decoded at once.
        num_samples: draws of z for each datum.
        seed: of the samples; the same seed gives a row the same numbers in any batch.
    """
    means, kl_per_dim, kl_per_layer = _Moments(), _Moments(), _Moments()
    kl, elbo_a, elbo_b = Accumulated(), Accumulated(), Accumulated()
    noise_a = noise_b = 0.0
    keys = RowKeys(derived_seed(seed, _NOISE))
    for number, batch in enumerate(batches):
        adapted, rows = adapted_to(posterior, model, batch)
        closed_kl = None
        with seeded(derived_seed(seed, number)), own_noise(keys.of(rows)):
            z, log_q = adapted.draw(model, rows, num_samples)
            means.add(*two_means(adapted, model, rows))
            if isinstance(adapted, ParametricPosterior):
                q, prior = adapted.distribution(model, rows), model.prior()
                closed_kl = _closed_kl(q, prior)
                per_dim = kl_by_dimension(q, prior)
                if per_dim is not None:
                    kl_per_dim.add(per_dim, per_dim)
                per_layer = _kl_by_layer(q, model, z)
                if per_layer is not None:
                    kl_per_layer.add(per_layer, per_layer)
        log_likelihood = model.log_likelihood(rows.x, z, rows.observed).double()
        log_ratio = (log_q - model.log_prior(z)).double()
        piece = _Piece.of(log_likelihood, log_ratio, closed_kl)
        for column, values in ((kl, piece.kl), (elbo_a, piece.elbo_a), (elbo_b, piece.elbo_b)):
            column.extend(values)
        noise_a, noise_b = noise_a + piece.noise[0], noise_b + piece.noise[1]
    use = LatentUse(
        means.covariance(),
        kl_per_dim.mean() if kl_per_dim.count else None,
        kl=float(kl.tensor().mean()),
        layer_sizes=model.prior.sizes if isinstance(model.prior, LayeredPrior) else (),
        kl_per_layer=tuple(kl_per_layer.mean().tolist()) if kl_per_layer.count else (),
    )
    # both forms of the bound are unbiased: take the one with less noise. With the exact
    # posterior form A has none at all, and with a poor one form B has less
    elbo = elbo_a if noise_a < noise_b else elbo_b
    return VariationalTerms(elbo.tensor() + kl.tensor(), kl.tensor(), num_samples, use)


def _closed_kl(q: Distribution, prior: Distribution) -> Tensor | None:
    try:
        return kl_terms(q, prior).sum(-1)
    except IncompatibleChoices:
        return None


@runtime_checkable
class _TellsLayers(Protocol):
    def log_prob_layers(self, value: Tensor) -> Tensor: ...


def _kl_by_layer(q: Distribution, model: LatentVariableModel, z: Tensor) -> Tensor | None:
    """What each layer adds to the KL, [batch, layers]; None if q or p does not tell layers."""
    if not isinstance(q, _TellsLayers) or not isinstance(model.prior, LayeredPrior):
        return None
    return (q.log_prob_layers(z) - model.prior.log_prob_layers(z)).double().mean(0)


class _Piece(NamedTuple):
    """One batch: the bound in the paper's form A (log-weights) and B (closed KL), [batch]."""

    elbo_a: Tensor
    elbo_b: Tensor
    kl: Tensor
    noise: tuple[float, float]

    @staticmethod
    def of(log_likelihood: Tensor, log_ratio: Tensor, closed_kl: Tensor | None) -> _Piece:
        """From [samples, batch] log p(x|z) and log q(z|x) - log p(z)."""
        log_w = log_likelihood - log_ratio
        kl = (log_ratio.mean(0) if closed_kl is None else closed_kl.double()).cpu()
        noise = (math.inf, 0.0)  # without a closed KL the two are equal; one sample has no spread
        if closed_kl is not None and len(log_w) > 1:
            noise = float(log_w.var(0).sum()), float(log_likelihood.var(0).sum())
        return _Piece(log_w.mean(0).cpu(), log_likelihood.mean(0).cpu() - kl, kl, noise)


class _Moments:
    """Mean and covariance of pairs of columns, batch by batch, in double precision.

    References:
        | Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (Chan et al.,
        | 1979)
    """

    def __init__(self) -> None:
        self.count = 0
        self._means = torch.zeros(2, 1)
        self._products = torch.zeros(())

    def add(self, values: Tensor, others: Tensor) -> None:
        """Both [batch, columns]."""
        pair = torch.stack([values, others]).double().cpu()
        n, means = pair.shape[1], pair.mean(1)
        products = (pair - means.unsqueeze(1)).prod(0).sum(0)
        if self.count == 0:
            self.count, self._means, self._products = n, means, products
            return
        total, shift = self.count + n, means - self._means
        self._products = self._products + products + shift.prod(0) * (self.count * n / total)
        self._means = self._means + shift * (n / total)
        self.count = total

    def mean(self) -> np.ndarray:
        """Of the first of each pair."""
        return self._means[0].numpy()

    def covariance(self) -> np.ndarray:
        """The variance where both are the same; noise may make it a little less than 0."""
        return (self._products / self.count).clamp_min(0).numpy()
