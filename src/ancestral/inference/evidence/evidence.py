"""log p(x) of a fitted model, by the best means it has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from ancestral.core import Accumulated, Batch, Estimate, IncompatibleChoices, NotExact, Precision
from ancestral.inference.evidence.importance import Summary, importance_sampled
from ancestral.inference.posteriors import Posterior
from ancestral.models import Autoencoder, ExactLogProb, LatentVariableModel, exact_log_prob

__all__ = ["EvidenceMethod", "Exact", "Importance", "default_method", "has_proposal"]


class EvidenceMethod(Protocol):
    """(model, posterior, batches) -> Estimate."""

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batches: Iterable[Batch]
    ) -> Estimate:
        """Log p(x) of each datum, in nats."""
        ...


@dataclass(frozen=True)
class Exact:
    """log p(x) by the model's own formula."""

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batches: Iterable[Batch]
    ) -> Estimate:
        """Exact values."""
        del posterior
        if not isinstance(model, ExactLogProb):
            raise _no_exact_log_prob(model)
        values = Accumulated()
        with torch.no_grad():
            for batch in batches:
                values.extend(exact_log_prob(model, batch))
        return Estimate(values.tensor(), "exact")


@dataclass(frozen=True)
class Importance:
    """log p(x) by importance sampling from the posterior.

    Args:
        num_samples: for each datum.
        seed: of the samples.
        precision: of the networks' matrix products.
        summary: log-weights [samples, batch] -> estimate; None for their mean.
    """

    num_samples: int = 1000
    seed: int = 0
    precision: Precision = Precision.FLOAT32
    summary: Summary | None = None

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batches: Iterable[Batch]
    ) -> Estimate:
        """Lower bounds in expectation."""
        if isinstance(model, Autoencoder):
            raise _no_exact_log_prob(model)
        if not isinstance(model, LatentVariableModel):
            raise IncompatibleChoices(
                "importance sampling needs a latent-variable model and a posterior, got "
                f"{type(model).__name__} and {type(posterior).__name__}",
                hint="where log p is exact, --method exact gives it, and needs no samples",
            )
        if not has_proposal(posterior):
            raise NotExact(
                "this model has no log p(x) by importance sampling: there is no posterior density "
                "q(z | x) to draw z from",
                hint="annealed importance sampling needs none: `evaluate --method ais`",
            )
        assert posterior is not None
        return importance_sampled(
            model,
            posterior,
            batches,
            num_samples=self.num_samples,
            seed=self.seed,
            precision=self.precision,
            summary=self.summary,
        )


def has_proposal(posterior: Posterior | None) -> bool:
    """Whether there is a q(z | x) with a density, which bounds and importance weights need."""
    return posterior is not None and posterior.has_density


def default_method(model: nn.Module, num_samples: int = 1000, seed: int = 0) -> EvidenceMethod:
    """Exact where the model is, importance sampling elsewhere."""
    if isinstance(model, ExactLogProb):
        return Exact()
    if isinstance(model, Autoencoder):
        raise _no_exact_log_prob(model)
    return Importance(num_samples, seed)


def _no_exact_log_prob(model: nn.Module) -> NotExact:
    if isinstance(model, Autoencoder):
        return NotExact(
            "an autoencoder has no log p(x): it has no prior over its codes, so it gives x no "
            "probability",
            hint="use `vae` for the same networks with a likelihood; "
            "`reconstruct` and `encode` work here",
        )
    return NotExact(
        "this model has no exact log p(x)",
        hint="use importance sampling, which gives a lower bound",
    )
