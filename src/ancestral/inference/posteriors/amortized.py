"""Amortised posteriors: one network reads x and answers q(z | x)."""

from __future__ import annotations

from torch import nn
from torch.distributions import Distribution

from ancestral.core import Batch, Conditional
from ancestral.distributions import Head
from ancestral.inference.posteriors.posterior import ParametricPosterior
from ancestral.models import LatentVariableModel

__all__ = ["Amortized", "draws_pass_gradients"]


class Amortized(ParametricPosterior):
    """q(z | x) = encoder(inputs(x)).

    Args:
        inputs: (x, observed) -> features, such as `networks.InputFeatures`.
        encoder: features -> distribution over z: diagonal or full Gaussian, a flow, ...

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014), section 2
    """

    def __init__(self, inputs: nn.Module, encoder: Conditional) -> None:
        super().__init__()
        self.inputs = inputs
        self.encoder = encoder

    @property
    def reparameterized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Not where the encoder has the head of a family that is not, such as `Bernoulli`."""
        return draws_pass_gradients(self.encoder)

    def distribution(self, model: LatentVariableModel, batch: Batch) -> Distribution:
        """q(z | x)."""
        del model
        return self.encoder(self.inputs(batch.x, batch.observed))


def draws_pass_gradients(encoder: nn.Module) -> bool:
    """Whether an encoder's family is reparameterised; of one without a head it is assumed."""
    head = getattr(encoder, "head", None)
    return head.reparameterized if isinstance(head, Head) else True
