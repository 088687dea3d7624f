"""The variational autoencoder with two stochastic layers."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Elbo, ImportanceWeighted
from ancestral.inference.gradients import Pathwise
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.inference.posteriors import BottomUp
from ancestral.models import DiagonalGaussian
from ancestral.recipes.layered_parts import gaussian_layers, layered_model
from ancestral.recipes.parts import dense_pair, head_for

__all__ = ["hierarchical_vae"]


def hierarchical_vae(
    spec: Specification,
    *,
    latent_size: int = 64,
    top_size: int = 32,
    num_samples: int = 1,
    hidden_size: int = 512,
    inner_size: int = 256,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    kl_warm_up: int = 0,
) -> Assembly:
    """Two stochastic layers, inferred from the data up (Burda et al., 2016).

    p(z_2) p(z_1 | z_2) p(x | z_1) and q(z_1 | x) q(z_2 | z_1), all Gaussian but the data.

    Args:
        spec: what the data are.
        latent_size: variables of the layer nearest the data.
        top_size: variables of the layer above it.
        num_samples: importance samples of the bound; 1 is the ELBO.
        hidden_size: width of the hidden layers next to the data.
        inner_size: width of the hidden layers between the stochastic ones.
        num_blocks: residual blocks next to the data, in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
    """
    head, sizes = head_for(spec, likelihood), (latent_size, top_size)
    inputs, encoder, decoder = dense_pair(
        spec,
        head,
        latent_size,
        2 * latent_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
    )
    model = layered_model(spec, head, decoder, sizes, hidden_size=inner_size, dropout=dropout)
    above = gaussian_layers((latent_size,), (top_size,), inner_size, dropout)
    posterior = BottomUp(inputs, [DiagonalGaussian(encoder), *above], sizes)
    bound = Elbo() if num_samples == 1 else ImportanceWeighted(num_samples)
    return Assembly(model, Variational(bound, Pathwise(), WarmUp(kl_warm_up)), posterior)
