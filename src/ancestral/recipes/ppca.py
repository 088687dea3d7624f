"""Probabilistic principal component analysis."""

from __future__ import annotations

from ancestral.core import DataError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.objectives import ClosedForm
from ancestral.inference.posteriors import ExactPosterior
from ancestral.models import ProbabilisticPCA

__all__ = ["ppca"]


def ppca(spec: Specification, *, latent_size: int = 10) -> Assembly:
    """Probabilistic PCA (Tipping & Bishop, 1999): exact log p, fitted in closed form.

    Integers need dequantising first (`--dequantize`), since a density over them can be as high
    as one likes.

    Args:
        spec: what the data are: real numbers, with or without gaps.
        latent_size: latent variables, fewer than cells.
    """
    if any(kind.is_discrete for kind in spec.kinds):
        kinds = ", ".join(sorted(spec.kinds))
        raise DataError(
            f"ppca needs real numbers, got cells of kind {kinds}",
            hint="use --dequantize for integers, --drop or --label for columns of text, "
            "or `vae`, which takes any kind",
        )
    return Assembly(ProbabilisticPCA(spec.shape, latent_size), ClosedForm(), ExactPosterior())
