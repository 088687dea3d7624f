"""The embedding of rows, whatever kind of model and posterior it comes from."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices, NotExact
from ancestral.inference.posteriors import Posterior
from ancestral.models import (
    Autoencoder,
    AutoregressiveModel,
    LatentVariableModel,
    LayeredPrior,
    OrderEnsemble,
)
from ancestral.models.autoregressive import features_of

__all__ = ["Decodes", "Layers", "codes_of", "decoder_of"]

Decodes = LatentVariableModel | Autoencoder


class Layers(StrEnum):
    """Which stochastic layers an embedding consists of, where there are several."""

    ALL = "all"  # one after the other, that nearest the data first
    TOP = "top"  # the one furthest from the data


@torch.no_grad()
def codes_of(
    model: nn.Module, posterior: Posterior | None, batch: Batch, layers: Layers = Layers.ALL
) -> Tensor:
    """A vector for each row, [rows, D]: the same at every call, and the row's own in any batch.

    Of latent-variable models the means of q(z | x), of an autoencoder its codes, and of
    autoregressive models their pooled hidden layer (`features_of`), which cannot be decoded.

    Args:
        model: in evaluation mode.
        posterior: q, for latent-variable models.
        batch: the rows.
        layers: of z, where it has several.

    Raises:
        NotExact: the model has neither latent variables nor hidden units, or nothing that finds
            them.
        IncompatibleChoices: the top layer is asked for, and there is but one.
    """
    if isinstance(model, AutoregressiveModel | OrderEnsemble):
        _one_layer(layers, "an autoregressive model")
        return features_of(model, batch.x, batch.context)
    if isinstance(model, Autoencoder):
        _one_layer(layers, "an autoencoder")
        return model.encode(batch)
    if not isinstance(model, LatentVariableModel):
        raise NotExact(
            "the model has no latent variables to encode into, and no hidden layer: there is "
            "nothing to embed rows by",
            hint="`vae`, `ppca` and most autoregressive recipes, such as `made`, embed rows",
        )
    if posterior is None:
        raise NotExact(
            "the model has no encoder: it was trained to draw samples, not to tell which z a row "
            "comes from",
            hint="`vae` and `wae` train an encoder along",
        )
    codes = posterior.adapted(model, batch).mean(model, batch)
    if layers is Layers.ALL:
        return codes
    if not isinstance(model.prior, LayeredPrior):
        _one_layer(layers, "the model")
        return codes
    return model.prior.split(codes)[-1]


def decoder_of(model: nn.Module) -> Decodes:
    """The model, if codes can be decoded by it.

    Raises:
        NotExact: it has no codes, or codes that only describe rows.
    """
    if isinstance(model, Decodes):
        return model
    raise NotExact(
        "the model has no latent variables, so there is nothing to decode: reconstructions, "
        "interpolations and arithmetic need codes that stand for rows",
        hint="latent-variable recipes have them: `vae`, `ppca`, `autoencoder`",
    )


def _one_layer(layers: Layers, what: str) -> None:
    if layers is not Layers.ALL:
        raise IncompatibleChoices(
            f"expected layers 'all', got {str(layers)!r}: {what} has no stochastic layers above "
            "each other",
            hint="`hierarchical_vae`, `ladder_vae` and `sigmoid_belief_net` have",
        )
