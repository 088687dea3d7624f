"""The 784-500-20 variational autoencoder that the benchmarks time, in each library's words."""

from __future__ import annotations

import torch
from torch import nn

from ancestral.core import Kind, Specification
from ancestral.distributions import Bernoulli
from ancestral.inference.posteriors import Amortized
from ancestral.models import (
    DiagonalGaussian,
    LatentVariableModel,
    NetworkConditional,
    StandardNormalPrior,
)
from ancestral.networks import DenseNetwork, InputFeatures

DIMS, HIDDEN, LATENT = 784, 500, 20
SPEC = Specification(Kind.BINARY, (DIMS,))


def ours() -> tuple[LatentVariableModel, Amortized]:
    """Model and posterior, with the data untouched."""
    encoder = DiagonalGaussian(DenseNetwork(DIMS, (HIDDEN,), 2 * LATENT, nn.ReLU))
    decoder = DenseNetwork(LATENT, (HIDDEN,), DIMS, nn.ReLU)
    likelihood = NetworkConditional(decoder, Bernoulli((DIMS,)))
    model = LatentVariableModel(StandardNormalPrior(LATENT), likelihood)
    return model, Amortized(InputFeatures(SPEC), encoder)


class PlainVae(nn.Module):
    """As in the tutorials."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(DIMS, HIDDEN)
        self.loc, self.log_var = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIMS))

    def forward(self, x):
        h = self.hidden(x).relu()
        loc, log_var = self.loc(h), self.log_var(h)
        z = loc + torch.randn_like(loc) * (0.5 * log_var).exp()
        return self.decoder(z), loc, log_var


def pythae_vae() -> nn.Module:
    """Pythae's model with the same layers."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(DIMS, HIDDEN)
            self.loc, self.log_var = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)

        def forward(self, x):
            h = self.hidden(x).relu()
            return ModelOutput(embedding=self.loc(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIMS), nn.Sigmoid()
            )

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    config = VAEConfig(input_dim=(DIMS,), latent_dim=LATENT, reconstruction_loss="bce")
    return VAE(config, Encoder(), Decoder())
