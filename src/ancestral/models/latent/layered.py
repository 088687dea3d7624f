"""Several stochastic layers as one prior over the concatenated z."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ancestral.core import Conditional, OptionError, ShapeError
from ancestral.distributions import Chain, Factor

__all__ = ["FirstLayer", "LayeredPrior"]


class LayeredPrior(Conditional):
    r"""p(z_1, ..., z_n) = p(z_n) \prod_{l < n} p(z_l | z_{l+1}), as one density of one vector.

    The layers are concatenated, z_1, which is nearest the data, first. So bounds, samplers and
    evidence need to know nothing of layers, and the likelihood needs a `FirstLayer` at most.

    Args:
        top: p(z_n), a `Conditional` without context.
        conditionals: p(z_l | z_{l+1}) for l = 1, ..., n - 1, in this order.
        sizes: variables of each layer, L_1 (nearest the data), ..., L_n.

    Raises:
        OptionError: there is not one conditional less than there are layers.

    Example:
        >>> from ancestral.models.gaussian import DiagonalGaussian, StandardNormalPrior
        >>> between = DiagonalGaussian(nn.Linear(2, 2 * 5))      # p(z_1 | z_2)
        >>> prior = LayeredPrior(StandardNormalPrior(2), [between], sizes=(5, 2))
        >>> z = prior().rsample((4, 3))
        >>> z.shape, prior.log_prob(z).shape
        (torch.Size([4, 3, 7]), torch.Size([4, 3]))

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016), equation 1
    """

    def __init__(
        self, top: Conditional, conditionals: Sequence[Conditional], sizes: Sequence[int]
    ) -> None:
        super().__init__()
        if len(sizes) != len(conditionals) + 1 or min(sizes) < 1:
            raise OptionError(
                f"expected one conditional for each layer below the top and layers of at least "
                f"one variable, got {len(conditionals)} conditionals for sizes {list(sizes)}",
                hint="sizes go from the layer nearest the data to the top",
            )
        self.top = top
        self.conditionals = nn.ModuleList(conditionals)
        self.sizes = tuple(sizes)

    @property
    def size(self) -> int:
        """L, variables of all layers together."""
        return sum(self.sizes)

    def split(self, z: Tensor) -> tuple[Tensor, ...]:
        """[..., L] -> the layers, [..., L_1], ..., [..., L_n].

        Raises:
            ShapeError: the last axis is not L long.
        """
        if z.shape[-1] != self.size:
            raise ShapeError(
                f"expected z of {self.size} variables ({' + '.join(map(str, self.sizes))}), "
                f"got shape {list(z.shape)}"
            )
        return z.split(self.sizes, -1)

    def given(self, layer: int, above: Tensor) -> Distribution:
        """p(z_layer | z_{layer + 1} = above), layers counted from 0, the one nearest the data."""
        return self._conditional(layer)(above)

    def forward(self, context: Tensor | None = None) -> Chain:
        """p(z), with an empty batch shape and the event shape [L]."""
        top = self.top()
        factors: list[Factor] = [lambda _: top]
        factors += [self._conditional(i) for i in reversed(range(len(self.conditionals)))]
        return Chain(factors, self.sizes, range(len(self.sizes) - 1, -1, -1))

    def log_prob_layers(self, z: Tensor) -> Tensor:
        """Log p(z_l | z_{l+1}) of each layer, [..., n] in nats, that nearest the data first."""
        layers = self.split(z)
        terms = [
            self._conditional(i).log_prob(layers[i], layers[i + 1])
            for i in range(len(self.conditionals))
        ]
        return torch.stack([*terms, self.top.log_prob(layers[-1])], -1)

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Log p(z) in nats, [...]."""
        if observed is not None:
            raise TypeError("a layered prior cannot integrate out missing variables")
        return self.log_prob_layers(y).sum(-1)

    def _conditional(self, layer: int) -> Conditional:
        conditional = self.conditionals[layer]
        assert isinstance(conditional, Conditional)
        return conditional


class FirstLayer(nn.Module):
    """A network that reads the layer nearest the data alone: p(x | z) = p(x | z_1).

    Args:
        network: [..., L_1] -> features.
        size: L_1.

    Example:
        >>> FirstLayer(nn.Linear(3, 8), 3)(torch.zeros(4, 5)).shape
        torch.Size([4, 8])
    """

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.size = size

    @property
    def output_layer(self) -> nn.Module | None:
        """The network's own, if it names it, whose bias starts at the mean of the data."""
        return getattr(self.network, "output_layer", None)

    @property
    def output_bias(self) -> nn.Parameter | None:
        """The network's own, if it names it."""
        return getattr(self.network, "output_bias", None)

    def forward(self, z: Tensor) -> Tensor:
        """Features from z[..., :L_1]."""
        return self.network(z[..., : self.size])
