"""`Chain`: several layers of variables, each drawn given the one drawn before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from ancestral.core import seeded

__all__ = ["Chain", "Factor"]

Factor = Callable[[Tensor | None], Distribution]
"""The layer drawn before [..., L] (None for the first) -> the distribution of this one."""


class Chain(Distribution):
    r"""p(z) = \prod_i p(z_{(i)} | z_{(i - 1)}), as one distribution of the concatenated layers.

    Layers may be stored in another order than they are drawn in: a prior is drawn from the top
    down and a bottom-up posterior from the data up, and both store the layer nearest the data
    first. Moments have no closed form, and are not known here.

    Args:
        factors: in the order drawn.
        sizes: variables of each layer, in the order stored.
        places: of each layer drawn, where it is stored: a permutation of 0 ... n - 1.
        batch_shape: that of the first factor.

    Example:
        >>> from ancestral.distributions.gaussian import DiagonalNormal, StandardNormal
        >>> factors = [lambda _: StandardNormal(2), lambda z: DiagonalNormal(z, -z.square())]
        >>> p = Chain(factors, sizes=(2, 2), places=(1, 0))
        >>> z = p.sample((5, 3))
        >>> z.shape, p.log_prob(z).shape
        (torch.Size([5, 3, 4]), torch.Size([5, 3]))
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(
        self,
        factors: Sequence[Factor],
        sizes: Sequence[int],
        places: Sequence[int],
        batch_shape: Size | tuple[int, ...] = (),
    ) -> None:
        assert len(factors) == len(sizes)
        assert sorted(places) == list(range(len(sizes)))
        self.factors = tuple(factors)
        self.sizes = tuple(sizes)
        self.places = tuple(places)
        super().__init__(Size(batch_shape), Size((sum(sizes),)), validate_args=False)

    @property
    def has_rsample(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether every factor has it; to know, a draw is made."""
        return all(given.has_rsample for given in self._layers())

    @property
    def support(self) -> constraints.Constraint:
        """Real vectors, or whole numbers if a layer is discrete; to know, a draw is made."""
        supports = [given.support for given in self._layers()]
        if any(support.is_discrete for support in supports if support is not None):
            return constraints.independent(constraints.nonnegative_integer, 1)
        return constraints.real_vector

    def log_prob_layers(self, value: Tensor) -> Tensor:
        """Log-density of each layer given the one drawn before, [..., n], as stored."""
        layers = value.split(self.sizes, -1)
        terms: list[Tensor] = [value] * len(layers)
        before = None
        for factor, place in zip(self.factors, self.places, strict=True):
            terms[place] = factor(before).log_prob(layers[place])
            before = layers[place]
        return torch.stack(torch.broadcast_tensors(*terms), -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, [...]."""
        return self.log_prob_layers(value).sum(-1)

    def sample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """One layer after the other, [*sample_shape, *batch_shape, L]."""
        with torch.no_grad():
            return self._stored([z for _, z in self._drawn(sample_shape, _sample)])

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """The same with gradients.

        Raises:
            NotImplementedError: a layer has none.
        """
        return self._stored([z for _, z in self._drawn(sample_shape, _rsample)])

    def rsample_with_log_prob(self, sample_shape: Size) -> tuple[Tensor, Tensor]:
        """Draws and their log-densities, each factor being asked once.

        Raises:
            NotImplementedError: a layer has no reparameterised draws.
        """
        drawn = self._drawn(sample_shape, _rsample)
        log_prob = torch.stack([given.log_prob(z) for given, z in drawn], -1).sum(-1)
        return self._stored([z for _, z in drawn]), log_prob

    def conditional_means(self, num_draws: int) -> Tensor:
        """E[z_{(i)} | z_{(i - 1)}] of so many draws, [draws, *batch_shape, L].

        Their mean estimates E[z] with less noise than that of the draws.
        """
        with torch.no_grad():
            drawn = self._drawn((num_draws,), _sample)
            return self._stored([given.mean.expand(z.shape) for given, z in drawn])

    def _layers(self) -> list[Distribution]:
        """Of one draw, which leaves the state of the generators as it was."""
        with torch.no_grad(), seeded(0):
            return [given for given, _ in self._drawn((), _sample)]

    def _drawn(
        self, sample_shape: Size | tuple[int, ...], draw: Callable[[Distribution, Size], Tensor]
    ) -> list[tuple[Distribution, Tensor]]:
        first = self.factors[0](None)
        pairs = [(first, draw(first, Size(sample_shape)))]
        for factor in self.factors[1:]:
            given = factor(pairs[-1][1])
            pairs.append((given, draw(given, Size())))
        return pairs

    def _stored(self, drawn: list[Tensor]) -> Tensor:
        layers = [drawn[self.places.index(i)] for i in range(len(drawn))]
        return torch.cat(layers, -1)


def _sample(given: Distribution, shape: Size) -> Tensor:
    return given.sample(shape)


def _rsample(given: Distribution, shape: Size) -> Tensor:
    return given.rsample(shape)
