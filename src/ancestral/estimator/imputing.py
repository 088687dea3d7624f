"""`Imputing`: what a fitted estimator makes of rows with gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from ancestral.applications import Imputation, LatentImputing, ParticleFilter
from ancestral.core import Specification
from ancestral.data import Source, as_source
from ancestral.estimator.filling import Filler, completed_rows, with_gaps
from ancestral.inference.posteriors import Posterior

__all__ = ["Imputing"]


class Imputing:
    """The part of `DensityEstimator` that fills gaps."""

    spec_: Specification
    model_: nn.Module
    posterior_: Posterior | None

    if TYPE_CHECKING:

        def _require_fitted(self) -> None: ...

        def _given(self, source: Source, context: Any) -> Source: ...

    def impute(
        self,
        X: Any,
        num_samples: int = 100,
        *,
        seed: int = 0,
        observed: Any = None,
        context: Any = None,
        particles: ParticleFilter | None = None,
        method: LatentImputing | str = "auto",
    ) -> np.ndarray:
        """Rows with their missing cells filled in, [rows, *shape].

        Each by the best guess of `num_samples` draws given what is known of its row: the mean of
        real numbers, the median of counts and levels, the likeliest code of categories. A
        `UserWarning` says where the draws are too few.

        Args:
            X: rows, with NaN where a cell is missing; gaps need not have been there in training.
            num_samples: draws of each row.
            seed: decides them.
            observed: [rows, *shape] bool instead of NaN: True where a cell is known.
            context: [rows, size] for a conditional model.
            particles: settings of sequential Monte Carlo, where the model needs that.
            method: of latent-variable models: "auto", "importance", "metropolis",
                "pseudo-gibbs" (which is biased), or one with settings of its own, such as
                `applications.MetropolisWithinGibbs(num_sweeps=500)`.
        """
        source = with_gaps(X, observed)
        parts = self.imputed(
            source, num_samples, seed=seed, context=context, particles=particles, method=method
        )
        return completed_rows(parts, self.spec_)

    def impute_samples(
        self,
        X: Any,
        num_samples: int = 100,
        *,
        seed: int = 0,
        observed: Any = None,
        context: Any = None,
        particles: ParticleFilter | None = None,
        method: LatentImputing | str = "auto",
    ) -> Imputation:
        """The draws behind `impute`, with weights, effective number and log p of what is known."""
        source = with_gaps(X, observed)
        parts = self.imputed(
            source, num_samples, seed=seed, context=context, particles=particles, method=method
        )
        return Imputation.concatenate(list(parts))

    def imputed(
        self,
        X: Any,
        num_samples: int = 100,
        *,
        seed: int = 0,
        context: Any = None,
        particles: ParticleFilter | None = None,
        method: LatentImputing | str = "auto",
    ) -> Iterator[Imputation]:
        """`impute_samples` some rows at a time: for data whose draws do not fit in memory."""
        self._require_fitted()
        spec = replace(self.spec_, missing=True)  # whether or not training saw gaps
        source = self._given(as_source(X, spec), context)
        filler = Filler(
            self.model_, self.posterior_, num_samples, seed, particles, method, self.spec_
        )
        return filler(source)
