"""Bidirectional Monte Carlo: log p(x) of simulated data between two bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ancestral.core import Batch, Estimate, ShapeError, derived_seed, seeded
from ancestral.inference.evidence.annealed import (
    AnnealedImportance,
    annealed_estimate,
    latent_model,
)
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["Bidirectional", "Sandwich"]


@dataclass(frozen=True)
class Sandwich:
    """Log p(x) of data that the model itself made, from below and from above, in nats.

    Says how well annealed importance sampling does on this model with these settings: the
    value on real data is as good as far as real data are like the model's own. It is no log p
    of real data.

    Args:
        lower: forward annealing, a lower bound in expectation.
        upper: annealing in reverse from the z that made x, an upper bound in expectation. Its
            standard error is that over the chains from this one z.

    Example:
        >>> values = torch.tensor([-3.0, -2.0])
        >>> Sandwich(Estimate(values, "lower_bound"), Estimate(values + 0.5, "upper_bound")).gap
        0.5
    """

    lower: Estimate
    upper: Estimate

    def __post_init__(self) -> None:
        if self.lower.shape != self.upper.shape:
            raise ShapeError(
                f"expected both bounds for the same data, got {self.lower.shape} and "
                f"{self.upper.shape}"
            )

    @property
    def gaps(self) -> Tensor:
        """Upper less lower bound, [batch]; noise may make some negative."""
        return self.upper.value - self.lower.value

    @property
    def gap(self) -> float:
        """Mean of `gaps`: an upper bound on the error of `lower`, in expectation."""
        return float(self.gaps.mean())

    @property
    def std_error_of_gap(self) -> float:
        """Standard error of `gap` over the data."""
        n = len(self.lower)
        return float(self.gaps.std()) / math.sqrt(n) if n > 1 else math.nan


@dataclass(frozen=True)
class Bidirectional:
    r"""Both bounds on data simulated from the model.

    z ~ p(z), x ~ p(x | z) makes z an exact draw from p(z | x). Chains that start there and go
    the annealing path backwards give weights with :math:`E[1 / w] = 1 / p(x)`, hence

    .. math:: E \log \frac1C \sum_c w_c \le \log p(x) \le E \Big[-\log \frac1C \sum_c
              \frac{1}{w'_c}\Big]

    with the step sizes of the forward run, which know nothing of z.

    Args:
        annealing: the settings that are judged.

    References:
        | Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo (Grosse, Ghahramani
        | & Adams, 2015)
        | Measuring the Reliability of MCMC Inference with Bidirectional Monte Carlo (Grosse,
        | Ancha & Roy, 2016)
    """

    annealing: AnnealedImportance = field(default_factory=AnnealedImportance)

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batches: Iterable[Batch]
    ) -> Sandwich:
        """Bounds for as many simulated data as there are rows, with gaps where they have some."""
        latent = latent_model(model, "bidirectional Monte Carlo")
        annealing = self.annealing
        lower, upper = [], []
        chains = annealing.num_chains + annealing.num_pilots
        for number, rows in enumerate(annealing.groups(batches, chains)):
            with seeded(derived_seed(annealing.seed, number)):
                z, batch = _simulated(latent, rows)
                ahead = annealing.forward(latent, posterior, batch)
                start = z.expand(annealing.num_chains, *z.shape)
                back = annealing.reverse(latent, posterior, batch, start, ahead.step_sizes)
            lower.append(annealed_estimate(ahead.log_w))
            below = annealed_estimate(-back)
            upper.append(replace(below, value=-below.value, kind="upper_bound"))
        return Sandwich(Estimate.concatenate(lower), Estimate.concatenate(upper))


@torch.no_grad()
def _simulated(model: LatentVariableModel, rows: Batch) -> tuple[Tensor, Batch]:
    """Z [batch, L] and x from the model, of which the same cells are seen as in the rows."""
    z = model.sample_latents(len(rows)).to(rows.x)
    x = model.likelihood.sample(z)
    if rows.observed is not None:
        x = torch.where(rows.observed, x, 0.0)
    return z, Batch(x, rows.observed)
