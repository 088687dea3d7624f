"""`MixtureOfGaussians`: a conditional whose distribution is a mixture of diagonal Gaussians."""

from __future__ import annotations

from torch import Tensor, nn

from ancestral.core import Conditional, OptionError
from ancestral.core.shapes import at_least_float32
from ancestral.distributions import NormalMixture

__all__ = ["MixtureOfGaussians"]

_MIN_LOG_SCALE, _MAX_LOG_SCALE = -7.0, 7.0


class MixtureOfGaussians(Conditional):
    r"""q(z | c) = \sum_k w_k(c) N(z; m_k(c), diag(s_k(c)^2)), reparameterised.

    Its divergence from a Gaussian has no closed form: train it with `Pathwise`. Components start
    at one place if the network's output starts at 0; random output weights set them apart.

    Args:
        network: [..., *context] -> [..., K (1 + 2 L)]: logits of the weights, then locations and
            log-scales of the first component, of the second, and so on.
        num_dims: latent variables L.
        num_components: K.

    Example:
        >>> import torch
        >>> size = MixtureOfGaussians.num_outputs(2, num_components=3)
        >>> encoder = MixtureOfGaussians(nn.Linear(5, size), 2, 3)
        >>> encoder(torch.zeros(4, 5)).rsample((7,)).shape
        torch.Size([7, 4, 2])
    """

    def __init__(self, network: nn.Module, num_dims: int, num_components: int) -> None:
        super().__init__()
        if num_components < 1:
            raise OptionError(f"expected num_components >= 1, got {num_components}")
        self.network = network
        self.num_dims = num_dims
        self.num_components = num_components

    @staticmethod
    def num_outputs(num_dims: int, num_components: int) -> int:
        """What the network must give: K (1 + 2 L).

        Example:
            >>> MixtureOfGaussians.num_outputs(2, 3)
            15
        """
        return num_components * (1 + 2 * num_dims)

    def forward(self, context: Tensor | None = None) -> NormalMixture:
        """The distribution of z given the context."""
        output = at_least_float32(self.network(context))
        k = self.num_components
        logits, rest = output.split([k, 2 * k * self.num_dims], -1)
        loc, log_scale = rest.unflatten(-1, (k, 2 * self.num_dims)).chunk(2, -1)
        return NormalMixture(logits, loc, log_scale.clamp(_MIN_LOG_SCALE, _MAX_LOG_SCALE))
