"""What a posterior says of some rows, whatever kind of model and posterior it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ancestral.core import Batch, IncompatibleChoices
from ancestral.distributions import DiagonalNormal, FullNormal, kl_terms
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import Autoencoder, AutoregressiveModel, LatentVariableModel, OrderEnsemble
from ancestral.models.autoregressive import features_of

__all__ = ["adapted_to", "kl_by_dimension", "posterior_means", "two_means"]

_DRAWS_FOR_A_MEAN = 100


def adapted_to(
    posterior: Posterior, model: LatentVariableModel, batch: Batch
) -> tuple[Posterior, Batch]:
    """The posterior for rows outside the training data, and the rows as it knows them."""
    adapted = posterior.adapted(model, batch)
    if adapted is posterior:
        return posterior, batch
    # one with parameters for each datum has just been fitted: its rows count from 0
    return adapted, batch.with_index(torch.arange(len(batch), device=batch.x.device))


@torch.no_grad()
def posterior_means(model: nn.Module, posterior: Posterior | None, batch: Batch) -> Tensor:
    """E[z | x] under q, an autoencoder's code, or pooled hidden units: [batch, D].

    Raises:
        IncompatibleChoices: the model has no latent variables, or there is no posterior.
    """
    if isinstance(model, Autoencoder):
        return model.encode(batch)
    if isinstance(model, AutoregressiveModel | OrderEnsemble):
        return features_of(model, batch.x, batch.context)
    if not isinstance(model, LatentVariableModel) or posterior is None:
        raise IncompatibleChoices(
            f"expected a model with latent variables and a posterior, got {type(model).__name__} "
            f"and {type(posterior).__name__}",
            hint="only latent-variable models have an embedding",
        )
    adapted, rows = adapted_to(posterior, model, batch)
    return adapted.mean(model, rows)


@torch.no_grad()
def two_means(
    posterior: Posterior, model: LatentVariableModel, rows: Batch
) -> tuple[Tensor, Tensor]:
    """E[z | x] twice, [batch, latent], with independent noise if it has any.

    The variance over x of a mean of S draws is too large by the S-th part of q's own variance,
    which would make idle units look active; the covariance of two such means is not.

    Args:
        posterior: q, as `adapted_to` gave it.
        model: p.
        rows: the data.
    """
    if isinstance(posterior, ParametricPosterior):
        try:
            mean = posterior.distribution(model, rows).mean.flatten(1)
        except NotImplementedError:
            pass
        else:
            return mean, mean
    elif type(posterior).mean is not Posterior.mean:
        mean = posterior.mean(model, rows).flatten(1)
        return mean, mean
    z = posterior.draw(model, rows, _DRAWS_FOR_A_MEAN).z.flatten(2)
    half = _DRAWS_FOR_A_MEAN // 2
    return z[:half].mean(0), z[half:].mean(0)


def kl_by_dimension(q: Distribution, prior: Distribution) -> Tensor | None:
    """KL of each latent dimension alone, [batch, latent] in nats; None where it is not known.

    For a diagonal q the dimensions sum to the whole KL; for a full covariance they do not.
    """
    if not isinstance(prior, DiagonalNormal):
        return None
    if isinstance(q, FullNormal):
        q = DiagonalNormal(q.mean, 0.5 * q.variance.log())
    return kl_terms(q, prior) if isinstance(q, DiagonalNormal) else None
