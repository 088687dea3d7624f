"""Whether the latent variables are used: KL per dimension, active units, posterior collapse."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core import Accumulated, Batch, IncompatibleChoices, derived_seed, seeded
from ancestral.distributions import kl_terms
from ancestral.evaluation.latents import adapted_to, marginal_kl
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["ACTIVE_VARIANCE", "LatentUse", "VariationalTerms", "variational_terms"]

ACTIVE_VARIANCE = 0.01  # Burda et al. (2016), section 5.2
_FEW = 0.25  # share of active units below which a model is called partly collapsed

_ADVICE = (
    "the others carry nothing of x; lower `latent_size`, or train with free bits or a longer "
    "KL warm-up"
)


@dataclass(frozen=True)
class LatentUse:
    r"""How much the latent variables say of the data.

    A unit is active if its posterior mean moves with x:
    :math:`\mathrm{Var}_x(E_q[z_u \mid x]) > 0.01`.

    Args:
        variance_of_means: [latent], variance over the data of the posterior mean.
        kl_per_dim: [latent], KL from prior to posterior of each dimension, mean over the data,
            nats; None where it has no closed form.

    Example:
        >>> LatentUse(np.array([0.9, 0.0, 0.4]), None).active_units
        2

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016), section 5.2
    """

    variance_of_means: np.ndarray
    kl_per_dim: np.ndarray | None

    @property
    def latent_size(self) -> int:
        """Number of latent dimensions."""
        return len(self.variance_of_means)

    @property
    def active_units(self) -> int:
        """Number of units whose posterior mean moves with x."""
        return int((self.variance_of_means > ACTIVE_VARIANCE).sum())

    @property
    def has_collapsed(self) -> bool:
        """Whether fewer than a quarter of the units are active."""
        return self.active_units < _FEW * self.latent_size

    @property
    def verdict(self) -> str:
        """Whether the posterior has collapsed, in words, and what to do about it."""
        size, active = self.latent_size, self.active_units
        if active == 0:
            return (
                f"posterior collapse: none of the {size} latent units is active, so the model "
                "ignores z; train with free bits or KL warm-up, or take a weaker decoder"
            )
        verb = "is" if size - active == 1 else "are"
        if self.has_collapsed:
            return (
                f"partial posterior collapse: {size - active} of {size} latent units {verb} "
                f"inactive; {_ADVICE}"
            )
        if active == size:
            return f"no posterior collapse: all {size} latent units are active"
        return (
            f"no posterior collapse: {active} of {size} latent units are active; the other "
            f"{size - active} could be left out"
        )


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
        seed: the same seed and batches give the same numbers.
    """
    means, kl_per_dim = _Moments(), _Moments()
    kl, elbo_a, elbo_b = Accumulated(), Accumulated(), Accumulated()
    noise_a = noise_b = 0.0
    for number, batch in enumerate(batches):
        adapted, rows = adapted_to(posterior, model, batch)
        closed_kl = None
        with seeded(derived_seed(seed, number)):
            z, log_q = adapted.draw(model, rows, num_samples)
            means.add(adapted.mean(model, rows))
            if isinstance(adapted, ParametricPosterior):
                q, prior = adapted.distribution(model, rows), model.prior()
                closed_kl = _closed_kl(q, prior)
                per_dim = marginal_kl(q, prior)
                if per_dim is not None:
                    kl_per_dim.add(per_dim)
        log_likelihood = model.log_likelihood(rows.x, z, rows.observed).double()
        log_ratio = (log_q - model.log_prior(z)).double()
        piece = _Piece.of(log_likelihood, log_ratio, closed_kl)
        for column, values in ((kl, piece.kl), (elbo_a, piece.elbo_a), (elbo_b, piece.elbo_b)):
            column.extend(values)
        noise_a, noise_b = noise_a + piece.noise[0], noise_b + piece.noise[1]
    use = LatentUse(means.variance(), kl_per_dim.mean() if kl_per_dim.count else None)
    # both forms of the bound are unbiased: take the one with less noise. With the exact
    # posterior form A has none at all, and with a poor one form B has less
    elbo = elbo_a if noise_a < noise_b else elbo_b
    return VariationalTerms(elbo.tensor() + kl.tensor(), kl.tensor(), num_samples, use)


def _closed_kl(q: Distribution, prior: Distribution) -> Tensor | None:
    try:
        return kl_terms(q, prior).sum(-1)
    except IncompatibleChoices:
        return None


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
    """Mean and variance of columns, batch by batch (Chan et al., 1983), in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = torch.zeros(())
        self._squares = torch.zeros(())

    def add(self, values: Tensor) -> None:
        values = values.double().flatten(1).cpu()
        n, mean = len(values), values.mean(0)
        squares = (values - mean).square().sum(0)
        if self.count == 0:
            self.count, self._mean, self._squares = n, mean, squares
            return
        total, shift = self.count + n, mean - self._mean
        self._squares = self._squares + squares + shift.square() * (self.count * n / total)
        self._mean = self._mean + shift * (n / total)
        self.count = total

    def mean(self) -> np.ndarray:
        return self._mean.numpy()

    def variance(self) -> np.ndarray:
        return (self._squares / self.count).numpy()
