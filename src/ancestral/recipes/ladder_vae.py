"""The ladder variational autoencoder."""

from __future__ import annotations

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import Pathwise
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.inference.posteriors import Ladder
from ancestral.networks import DenseNetwork, ResidualNetwork
from ancestral.recipes.layered_parts import layered_model
from ancestral.recipes.parts import dense_pair, head_for

__all__ = ["ladder_vae"]


def ladder_vae(
    spec: Specification,
    *,
    latent_size: int = 64,
    num_layers: int = 3,
    hidden_size: int = 512,
    inner_size: int = 256,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    kl_warm_up: int = 2000,
    free_nats: float = 0.0,
) -> Assembly:
    """Ladder VAE (Sonderby et al., 2016): inference from the top down, through the model's layers.

    Layer normalisation in residual layers stands where the paper has batch normalisation.

    Args:
        spec: what the data are.
        latent_size: variables of the layer nearest the data; each layer above has half as many.
        num_layers: stochastic layers.
        hidden_size: width of the hidden layers next to the data.
        inner_size: width of the hidden layers between the stochastic ones.
        num_blocks: residual blocks next to the data, in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
        free_nats: KL of each latent variable that costs nothing, counted for all together.
    """
    if num_layers < 1:
        raise OptionError(f"expected num_layers of at least 1, got {num_layers}")
    head = head_for(spec, likelihood)
    sizes = tuple(max(1, latent_size // 2**i) for i in range(num_layers))
    inputs, first, decoder = dense_pair(
        spec,
        head,
        latent_size,
        inner_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
    )
    model = layered_model(spec, head, decoder, sizes, hidden_size=inner_size, dropout=dropout)
    upward = [first] + [
        ResidualNetwork(inner_size, inner_size, 1, inner_size, dropout=dropout)
        for _ in range(num_layers - 1)
    ]
    evidence = [DenseNetwork(inner_size, (), 2 * size) for size in sizes]
    posterior = Ladder(inputs, upward, evidence, sizes)
    objective = Variational(Elbo(), Pathwise(), WarmUp(kl_warm_up), free_nats)
    return Assembly(model, objective, posterior)
