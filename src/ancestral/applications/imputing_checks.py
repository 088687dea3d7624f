"""Rows of which a model knows nothing: far from all that it was trained on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ancestral.core import AncestralError, Batch, seeded
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import (
    AutoregressiveModel,
    LatentVariableModel,
    NetworkConditional,
    OrderEnsemble,
    ProbabilisticPCA,
    Units,
)
from ancestral.networks import InputFeatures

__all__ = ["remoteness", "undefined_rows"]


@torch.no_grad()
def remoteness(model: nn.Module, posterior: Posterior | None, batch: Batch) -> Tensor:
    """How many standard deviations each known cell is from the mean of the training rows.

    Of counts and positive numbers after taking logarithms; 0 where a cell is missing, where it
    is a category, and for models that keep no such numbers.

    Args:
        model: in evaluation mode.
        posterior: q, whose inputs may be standardised.
        batch: rows, with `observed` or without.

    Returns:
        [rows, *shape].
    """
    x = batch.x
    found = torch.zeros_like(x)
    if isinstance(model, ProbabilisticPCA):
        variance = model.weight.square().sum(1) + model.noise_scale.square()
        found = ((x.flatten(1) - model.loc) / variance.sqrt()).abs().reshape(x.shape)
    for whole in (model, posterior):
        for part in [] if whole is None else whole.modules():
            if isinstance(part, InputFeatures) and part.spec.shape == x.shape[1:]:
                found = found.maximum(part.remoteness(x))
            elif isinstance(part, Units) and not part.is_identity:
                scaled = (part.scale != 1) | (part.loc != 0)  # those that hold real numbers
                found = found.maximum(torch.where(scaled, part(x).abs(), 0.0))
    return found if batch.observed is None else found * batch.observed


@torch.no_grad()
def undefined_rows(model: nn.Module, posterior: Posterior | None, batch: Batch) -> Tensor:
    """Rows of which the networks make something that is no finite number: [rows] bool.

    Args:
        model: in evaluation mode.
        posterior: q.
        batch: rows.
    """
    if isinstance(model, OrderEnsemble):
        model = model.model
    x = batch.x
    finite = torch.ones(len(x), dtype=torch.bool, device=x.device)
    if isinstance(model, AutoregressiveModel):
        features = model.network(model.to_sites(x), batch.context)
        return ~features.isfinite().flatten(1).all(1)
    if not isinstance(model, LatentVariableModel) or not isinstance(
        posterior, ParametricPosterior
    ):
        return ~finite
    try:
        with seeded(0):
            z = posterior.distribution(model, batch).sample(torch.Size((2,)))
    except AncestralError:  # rows that have no q yet, since no network makes it
        return ~finite
    except (ValueError, RuntimeError):  # parameters that are no distribution's, of some row
        if len(x) == 1:
            return finite  # it alone
        one_by_one = (batch.rows(slice(i, i + 1)) for i in range(len(x)))
        return torch.cat([undefined_rows(model, posterior, row) for row in one_by_one])
    finite = z.isfinite().flatten(2).all(2).all(0)
    if isinstance(model.likelihood, NetworkConditional):
        features = model.likelihood.features(torch.where(z.isfinite(), z, 0.0))
        finite &= features.isfinite().flatten(2).all(2).all(0)
        mean = model.likelihood.head.mean(features)
        finite &= mean.isfinite().flatten(2).all(2).all(0)
    return ~finite
