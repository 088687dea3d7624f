"""Rate and distortion of a model, and whether several models lie on one convex curve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.evaluation.diagnostics import variational_terms
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["RateDistortion", "Segment", "rate_distortion", "segments"]


@dataclass(frozen=True)
class RateDistortion:
    r"""Where a model with its posterior lies in the rate-distortion plane.

    R = E KL(q(z|x) || p(z)), a bound on the mutual information of x and z from above, and
    D = -E log p(x|z), both in nats for each datum; D + R is minus the ELBO, and at least the
    entropy of the data.

    Args:
        rate: R.
        distortion: D.
        rate_error: standard error of R, over the data.
        distortion_error: of D.

    References:
        | Fixing a Broken ELBO (Alemi et al., 2018), section 2
    """

    rate: float
    distortion: float
    rate_error: float
    distortion_error: float

    @property
    def elbo(self) -> float:
        """-(D + R), nats."""
        return -(self.distortion + self.rate)


@dataclass(frozen=True)
class Segment:
    """The chord between two models that were trained with different beta.

    Where each is the best for its beta, the slope lies between -beta of the one and of the
    other: if it did not, one of the two would do better in the other's place.

    Args:
        slope: dD / dR.
        steepest: minus the larger beta.
        flattest: minus the smaller beta.
        shortfall: nats of D + beta R by which one end is not the best for its own beta, since
            the other end does better there; 0 where the slope is as predicted.

    Example:
        >>> Segment(-1.5, -2.0, -1.0).as_predicted
        True
    """

    slope: float
    steepest: float
    flattest: float
    shortfall: float = 0.0

    @property
    def as_predicted(self) -> bool:
        """Whether the slope lies between those of its ends."""
        return self.steepest <= self.slope <= self.flattest


def rate_distortion(
    model: nn.Module,
    posterior: Posterior | None,
    batches: Iterable[Batch],
    *,
    num_samples: int = 10,
    seed: int = 0,
) -> RateDistortion:
    """One pass over the data.

    Args:
        model: p, in evaluation mode.
        posterior: q.
        batches: the data.
        num_samples: draws of z for each datum.
        seed: of the draws.

    Raises:
        IncompatibleChoices: there are no latent variables, or q has no density.
    """
    if (
        not isinstance(model, LatentVariableModel)
        or posterior is None
        or not posterior.has_density
    ):
        raise IncompatibleChoices(
            "rate and distortion need a latent-variable model and a posterior with a density, got "
            f"{type(model).__name__} and {type(posterior).__name__}",
            hint="train one: `ancestral fit beta_vae`",
        )
    terms = variational_terms(model, posterior, batches, num_samples=num_samples, seed=seed)
    kl, reconstruction = terms.kl.double(), terms.reconstruction.double()
    root = math.sqrt(max(len(kl), 1))
    return RateDistortion(
        float(kl.mean()),
        -float(reconstruction.mean()),
        float(kl.std()) / root if len(kl) > 1 else math.nan,
        float(reconstruction.std()) / root if len(kl) > 1 else math.nan,
    )


def segments(points: Sequence[tuple[float, RateDistortion]]) -> list[Segment]:
    """Chords between neighbours in beta, from the largest beta (the smallest rate) on.

    The curve is convex where the slopes of the chords grow.

    Args:
        points: (beta, where the model trained with it lies).

    Raises:
        OptionError: fewer than two different betas.
    """
    ordered = sorted(points, key=lambda point: -point[0])
    if len({beta for beta, _ in ordered}) < max(len(ordered), 2):
        raise OptionError("expected at least two models, each of its own beta")
    found = []
    for (larger, left), (smaller, right) in itertools.pairwise(ordered):
        run = right.rate - left.rate
        slope = (right.distortion - left.distortion) / run if run else math.nan
        # D + beta R of each end, less that of the other end with the same beta
        rise = left.distortion - right.distortion
        shortfall = max(rise - larger * run, smaller * run - rise, 0.0)
        found.append(Segment(slope, -larger, -smaller, shortfall))
    return found
