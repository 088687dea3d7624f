"""The embedding of rows, whatever kind of model and posterior it comes from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ancestral.core import Batch, NotExact
from ancestral.inference.posteriors import Posterior
from ancestral.models import Autoencoder, LatentVariableModel

__all__ = ["codes_of"]


@torch.no_grad()
def codes_of(model: nn.Module, posterior: Posterior | None, batch: Batch) -> Tensor:
    """The means of q(z | x), or an autoencoder's codes: [rows, latent].

    Raises:
        NotExact: the model has no latent variables.
    """
    if isinstance(model, Autoencoder):
        return model.encode(batch)
    if not isinstance(model, LatentVariableModel) or posterior is None:
        raise NotExact(
            f"{type(model).__name__} has no latent variables to encode into",
            hint="latent-variable models have: `vae`, `ppca`",
        )
    return posterior.adapted(model, batch).mean(model, batch)
