"""`NoisyInputs`: features that are disturbed while training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ancestral.core import OptionError

__all__ = ["NoisyInputs"]


class NoisyInputs(nn.Module):
    r"""inputs(x) + scale * noise while training, and inputs(x) afterwards.

    As an encoder's inputs it makes :math:`q(z \mid x + \epsilon)` inside whatever bound is
    trained. For each noise that is a posterior like any other, so the bound stays one; only the
    encoder is asked to be smooth, and the model is not touched.

    Args:
        inputs: (x, observed) -> features, centred and scaled.
        scale: standard deviation of the noise, in units of the features; 0 for none.

    References:
        | Amortized Inference Regularization (Shu et al., 2018), section 3: the denoising
        | variational autoencoder
    """

    def __init__(self, inputs: nn.Module, scale: float) -> None:
        super().__init__()
        if not 0 <= scale < float("inf"):
            raise OptionError(f"expected a scale of input noise of at least 0, got {scale}")
        self.inputs = inputs
        self.scale = scale

    def forward(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """[..., *x] -> [..., *features]."""
        features = self.inputs(x, observed)
        if not self.training or self.scale == 0:
            return features
        return torch.add(features, torch.randn_like(features), alpha=self.scale)
