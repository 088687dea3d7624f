"""The plain autoencoder: the contrast that the literature draws."""

from __future__ import annotations

from torch import Tensor, nn

from ancestral.core import Batch
from ancestral.models.network_conditional import NetworkConditional

__all__ = ["Autoencoder"]


class Autoencoder(nn.Module):
    """x -> z -> x, deterministic: no prior over z, hence no p(x).

    It compresses and reconstructs. It gives x no probability, and codes between or beyond
    those of the data decode to nothing in particular, so it can neither score nor sample.

    Args:
        inputs: (x, observed) -> features.
        encoder: features -> [..., latent].
        decoder: how x is rebuilt; its -log p(x | z) is the reconstruction error.
    """

    def __init__(self, inputs: nn.Module, encoder: nn.Module, decoder: NetworkConditional) -> None:
        super().__init__()
        self.inputs = inputs
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, batch: Batch) -> Tensor:
        """z, [batch, latent]."""
        return self.encoder(self.inputs(batch.x, batch.observed))

    def reconstruct(self, z: Tensor) -> Tensor:
        """X rebuilt from z, [..., *x]."""
        return self.decoder.representative(z)

    def reconstruction_error(self, batch: Batch) -> Tensor:
        """-log p(x | z) at z = encode(x), [batch]; not a likelihood of x."""
        return -self.decoder.log_prob(batch.x, self.encode(batch), batch.observed)
