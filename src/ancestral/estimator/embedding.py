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
        NotExact: the model has no latent variables, or nothing that finds them.
    """
    if isinstance(model, Autoencoder):
        return model.encode(batch)
    if not isinstance(model, LatentVariableModel):
        raise NotExact(
            f"{type(model).__name__} has no latent variables to encode into",
            hint="latent-variable models have: `vae`, `ppca`",
        )
    if posterior is None:
        raise NotExact(
            "the model has no encoder: it was trained to draw samples, not to tell which z a row "
            "comes from",
            hint="`vae` and `wae` train an encoder along",
        )
    return posterior.adapted(model, batch).mean(model, batch)
