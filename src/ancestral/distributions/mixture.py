"""Mixtures of heads: in each cell, or of whole events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core.errors import OptionError
from ancestral.distributions.cells import CellHead, open_uniform, single
from ancestral.distributions.head import Head
from ancestral.distributions.implicit import implicit
from ancestral.distributions.scales import moments
from ancestral.distributions.support import Support
from ancestral.distributions.wrapper import HeadDistribution

__all__ = ["Mixture", "SiteMixture"]


@runtime_checkable
class _KnowsTails(Protocol):
    """A family with `tails`, such as `Normal` and `Logistic`."""

    def tails(self, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """P(X <= x) and P(X > x) in each cell."""
        ...


@dataclass(frozen=True)
class SiteMixture(CellHead):
    """A mixture of its own in each cell: p(x) = prod over cells of sum_k w_k p_k(x_cell).

    Features `(K + K P, *event_shape)`: K logits of the weights, then the P parameters of the
    first component, of the second, and so on.

    Args:
        component: family of the components, with the event shape of x.
        num_components: K >= 1.

    Example:
        >>> from ancestral.distributions.normal import Normal
        >>> SiteMixture(Normal((11,)), num_components=10).feature_shape
        (30, 11)

    References:
        | RNADE: the real-valued neural autoregressive density-estimator (Uria et al., 2013)
        | https://arxiv.org/abs/1306.0186
    """

    component: CellHead
    num_components: int

    def __post_init__(self) -> None:
        _check_components(self.num_components)

    @property
    def event_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The component's."""
        return self.component.event_shape

    @property
    def num_parameters(self) -> int:
        """A weight and the component's parameters, for each component."""
        return self.num_components * (1 + self.component.num_parameters)

    @property
    def support(self) -> Support:
        """The component's."""
        return self.component.support

    @property
    def inside(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The component's."""
        return self.component.inside

    def split(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the weights [..., K, *event_shape], features [..., K, P, *event_shape]."""
        k = self.num_components
        logits = features.narrow(self.axis, 0, k)
        rest = features.narrow(self.axis, k, self.num_parameters - k)
        return logits, rest.unflatten(self.axis, (k, self.component.num_parameters))

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        logits, components = self.split(features)
        each = self.component.log_prob_cells(components, x.unsqueeze(self.axis))
        return (logits + each).logsumexp(self.axis) - logits.logsumexp(self.axis)

    def mean(self, features: Tensor) -> Tensor:
        """The components' means, weighted."""
        logits, components = self.split(single(features))
        return (logits.softmax(self.axis) * self.component.mean(components)).sum(self.axis)

    @property
    def num_uniforms(self) -> int:
        """One for the choice of a component, then the component's."""
        return 1 + self.component.num_uniforms

    @property
    def reparameterized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the component knows its tails, from which implicit gradients follow."""
        return isinstance(self.component, _KnowsTails)

    def sample(self, features: Tensor) -> Tensor:
        """A component in each cell, then a draw from it; with implicit gradients if it can."""
        features = single(features)
        chooser = open_uniform(features.select(self.axis, 0))
        with torch.no_grad():
            x = self.component.sample(self._picked(features, chooser))
        if not torch.is_grad_enabled() or not isinstance(self.component, _KnowsTails):
            return x
        logits, components = self.split(features)
        weights = logits.softmax(self.axis)
        below, above = self.component.tails(components, x.unsqueeze(self.axis))
        # weights sum to 1, so that -above will do for below = 1 - above, and has all its digits
        upper = (weights * below).detach().sum(self.axis, keepdim=True) > 0.5
        cdf = (weights * torch.where(upper, -above, below)).sum(self.axis)
        return implicit(x, cdf, self._log_prob(features.detach(), x))

    def draw(self, features: Tensor, uniforms: Tensor) -> Tensor:
        """The first uniform chooses a component, the others draw from it."""
        picked = self._picked(features, uniforms.select(self.axis, 0))
        rest = uniforms.narrow(self.axis, 1, self.component.num_uniforms)
        return self.component.draw(picked, rest)

    def _picked(self, features: Tensor, u: Tensor) -> Tensor:
        """Features of the component that u chooses in each cell, [..., P, *event_shape]."""
        logits, components = self.split(single(features))
        below = (
            logits.softmax(self.axis)
            .cumsum(self.axis)
            .narrow(self.axis, 0, self.num_components - 1)
        )
        chosen = (below < u.unsqueeze(self.axis)).sum(self.axis, keepdim=True)
        index = chosen.unsqueeze(self.axis)
        shape = (*index.shape[: self.axis], self.component.num_parameters, *self.event_shape)
        picked = components.gather(self.axis - 1, index.expand(shape))
        return picked.squeeze(self.axis - 1)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Each component starts at one of K equal parts of a cell's sorted values."""
        rank = _ranks(x, observed)
        count = x.shape[0] if observed is None else observed.sum(0).clamp_min(1)
        group = rank * self.num_components // count
        seen = torch.ones_like(x, dtype=torch.bool) if observed is None else observed
        members = [(group == k) & seen for k in range(self.num_components)]
        logits = torch.stack([m.sum(0) for m in members]).clamp_min(1).to(x.dtype).log()
        parts = [self.component.initial_features(x, m) for m in members]
        return torch.cat([logits, *parts])


@dataclass(frozen=True)
class Mixture(Head):
    """One mixture over whole events: p(x) = sum_k w_k p_k(x).

    Features `(K + K F,)`: K logits of the weights, then the flattened features of each
    component, where F is the component's `num_features`.

    Args:
        component: family of the components, with the event shape of x.
        num_components: K >= 1.

    Example:
        >>> from ancestral.distributions.bernoulli import Bernoulli
        >>> Mixture(Bernoulli((28, 28)), num_components=2).feature_shape
        (1570,)
    """

    component: Head
    num_components: int

    def __post_init__(self) -> None:
        _check_components(self.num_components)

    @property
    def event_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The component's."""
        return self.component.event_shape

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(K (1 + F),)."""
        return (self.num_components * (1 + self.component.num_features),)

    def split(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the weights [..., K], features of the components [..., K, *feature_shape]."""
        k = self.num_components
        components = features[..., k:].unflatten(-1, (k, *self.component.feature_shape))
        return features[..., :k], components

    def log_prob(self, features: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log of the weighted sum of the components' densities, [...]."""
        logits, components = self.split(single(features))
        axis = -1 - len(self.event_shape)
        observed = None if observed is None else observed.unsqueeze(axis)
        each = self.component.log_prob(components, x.unsqueeze(axis), observed)
        return (logits + each).logsumexp(-1) - logits.logsumexp(-1)

    def __call__(self, features: Tensor) -> Distribution:
        """The distribution; see `HeadDistribution`."""
        return HeadDistribution(self, features)

    def mean(self, features: Tensor) -> Tensor:
        """The components' means, weighted."""
        logits, components = self.split(single(features))
        means = self.component.mean(components)
        weights = logits.softmax(-1).reshape(*logits.shape, *[1] * len(self.event_shape))
        return (weights * means).sum(-1 - len(self.event_shape))

    def sample(self, features: Tensor) -> Tensor:
        """A component for each event, then a draw from it."""
        logits, components = self.split(single(features))
        flat = components.reshape(*logits.shape, -1)
        index = _choose(logits)[..., None, None].expand(*logits.shape[:-1], 1, flat.shape[-1])
        picked = flat.gather(-2, index).squeeze(-2)
        return self.component.sample(picked.unflatten(-1, self.component.feature_shape))

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Each component starts at one of K equal parts of the rows.

        The rows are ordered along the data's first principal component.
        """
        centred = x - moments(x, observed)[0]
        if observed is not None:
            centred = torch.where(observed, centred, 0.0)
        centred = centred.flatten(1)
        # a few power iterations: any direction that tells rows apart will do
        direction = centred[centred.square().sum(1).argmax()]
        for _ in range(10):
            direction = centred.T @ (centred @ direction)
            direction = direction / direction.norm().clamp_min(torch.finfo(x.dtype).tiny)
        order = (centred @ direction).argsort(stable=True)
        groups = order.tensor_split(self.num_components)
        # with fewer rows than components the last ones share the first rows
        groups = [g if len(g) else order[:1] for g in groups]
        logits = torch.tensor([len(g) for g in groups], dtype=x.dtype, device=x.device).log()
        parts = [
            self.component.initial_features(x[g], None if observed is None else observed[g])
            for g in groups
        ]
        return torch.cat([logits, *(part.flatten() for part in parts)])

    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """As the component's."""
        self.component.check(x, observed)


def _check_components(num_components: int) -> None:
    if num_components < 1:
        raise OptionError(f"expected at least 1 component, got {num_components}")


def _choose(logits: Tensor) -> Tensor:
    """A draw from softmax(logits) over the last axis, int64 [...]."""
    cumulative = logits.softmax(-1).cumsum(-1)[..., :-1]
    return (cumulative < open_uniform(logits[..., :1])).sum(-1)


def _ranks(x: Tensor, observed: Tensor | None) -> Tensor:
    """The position of each row in its cell's sorted values, missing ones last."""
    values = x if observed is None else x.masked_fill(~observed, torch.inf)
    return values.argsort(dim=0, stable=True).argsort(dim=0)
