"""A deterministic encoder, as the posterior that has no density."""

from __future__ import annotations

from typing import NoReturn

from torch import Tensor, nn

from ancestral.core import Batch, Draws, NotExact
from ancestral.inference.posteriors.posterior import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["PointMass"]


class PointMass(Posterior):
    """z = encoder(inputs(x)), with certainty.

    It embeds and reconstructs. It has no density, hence no bound and no importance weights:
    log p(x) of its model needs a method without a q, such as annealed importance sampling.

    Args:
        inputs: (x, observed) -> features.
        encoder: features -> [batch, latent].

    References:
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), section 2: deterministic encoders
    """

    reparameterized = True
    has_density = False

    def __init__(self, inputs: nn.Module, encoder: nn.Module) -> None:
        super().__init__()
        self.inputs = inputs
        self.encoder = encoder

    def mean(self, model: LatentVariableModel, batch: Batch) -> Tensor:
        """The code, [batch, latent]."""
        del model
        return self.encoder(self.inputs(batch.x, batch.observed))

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Refused: there is no log q to give."""
        del model, batch, num_samples
        _refuse()

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Refused: a point has no density."""
        del model, batch, z
        _refuse()


def _refuse() -> NoReturn:
    raise NotExact(
        "a deterministic encoder has no density q(z | x), so there is no bound",
        hint="fit with an encoder that has one: --posterior diagonal",
    )
