"""The variational lossy autoencoder."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.flows import FlowConditional, MaskedAutoregressive
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import Pathwise
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.inference.posteriors import Amortized
from ancestral.models import DiagonalGaussian, LatentVariableModel, StandardNormalPrior
from ancestral.recipes.decoder_parts import encoder_for, pixel_decoder

__all__ = ["vlae"]


def vlae(
    spec: Specification,
    *,
    latent_size: int = 32,
    num_flows: int = 2,
    flow_size: int = 128,
    channels: int = 32,
    num_layers: int = 1,
    first_kernel_size: int = 5,
    likelihood: str = "auto",
    kl_warm_up: int = 1000,
    free_nats: float = 0.05,
) -> Assembly:
    """Variational lossy autoencoder (Chen et al., 2017): a near-sighted decoder, a flow as prior.

    The decoder sees a few pixels around the one that it predicts, so that z must say all that
    reaches farther; the prior is a masked autoregressive flow.

    Args:
        spec: what the data are: complete images of any size, grey or coloured.
        latent_size: latent variables.
        num_flows: autoregressive maps of the prior.
        flow_size: width of the hidden layer of each map's masked network.
        channels: feature maps of the decoder.
        num_layers: gated layers of the decoder; each further one sees a pixel farther.
        first_kernel_size: of the decoder's first layer, odd: half of it is what it sees.
        likelihood: of a cell; auto: by the kind of the data, for many levels a mixture of
            logistics.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
        free_nats: KL of each latent variable that costs nothing, counted for all together.
    """
    conditional = pixel_decoder(
        spec,
        latent_size,
        likelihood=likelihood,
        channels=channels,
        num_layers=num_layers,
        first_kernel_size=first_kernel_size,
    )
    flow = MaskedAutoregressive(latent_size, num_flows, hidden_sizes=(flow_size,))
    prior = FlowConditional(StandardNormalPrior(latent_size), flow)
    inputs, encoder = encoder_for(spec, 2 * latent_size, hidden_size=512, dropout=0.1)
    objective = Variational(Elbo(), Pathwise(), WarmUp(kl_warm_up), free_nats)
    model = LatentVariableModel(prior, conditional)
    return Assembly(model, objective, Amortized(inputs, DiagonalGaussian(encoder)))
