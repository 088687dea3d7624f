"""`codec_for`: which codec a model has."""

from __future__ import annotations

from torch import nn

from ancestral.applications.compression.autoregressive import AutoregressiveCodec
from ancestral.applications.compression.codec import Codec, CodingOptions
from ancestral.applications.compression.gaussian import GaussianCodec
from ancestral.applications.compression.grids import Grids
from ancestral.applications.compression.mixed_orders import MixedOrdersCodec
from ancestral.core import NotExact, Specification
from ancestral.inference.posteriors import Posterior
from ancestral.models import (
    AutoregressiveModel,
    LatentVariableModel,
    OrderEnsemble,
    ProbabilisticPCA,
)

__all__ = ["codec_for"]


def codec_for(
    model: nn.Module,
    posterior: Posterior | None,
    spec: Specification,
    grids: Grids | None = None,
    options: CodingOptions = CodingOptions(),  # noqa: B008 - frozen
) -> Codec:
    """The codec of a model.

    Autoregressive models are coded along `step`; probabilistic PCA by its Gaussian conditionals;
    other latent-variable models by bits-back.

    Args:
        model: in evaluation mode.
        posterior: q, for latent-variable models.
        spec: what a row is.
        grids: on which cells lie that are no codes; None where all cells are codes.
        options: what else decides on the words.

    Raises:
        NotExact: the model has no distribution of rows that could be coded by.
    """
    if isinstance(model, ProbabilisticPCA):
        return GaussianCodec(model, grids or Grids(()), options)
    if isinstance(model, AutoregressiveModel):
        return AutoregressiveCodec(model, grids or Grids(()), options)
    if isinstance(model, OrderEnsemble):
        return MixedOrdersCodec(model, grids or Grids(()), options)
    if isinstance(model, LatentVariableModel) and posterior is not None:
        from ancestral.applications.compression.bits_back import bits_back_codec

        return bits_back_codec(model, posterior, spec, grids or Grids(()), options)
    raise NotExact(
        f"expected a model with log p of the data to compress by, got {_named(model)}",
        hint="autoregressive models, `vae` and `ppca` have one",
    )


def _named(model: nn.Module) -> str:
    if isinstance(model, LatentVariableModel):
        return "latent variables without an encoder, whose log p is not known"
    return f"a model without one ({type(model).__name__})"
