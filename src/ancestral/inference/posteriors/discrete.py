"""Discrete posteriors, of one layer or several: Bernoulli units or one-hot blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Size, Tensor, nn
from torch import distributions as td
from torch.distributions import Distribution, constraints

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.distributions import Bernoulli, Head, HeadDistribution, OneHot
from ancestral.distributions.relaxations import Relaxation, relaxation_of
from ancestral.inference.posteriors.posterior import ParametricPosterior
from ancestral.models import LatentConditional, LatentVariableModel

__all__ = ["DiscreteLayers", "DiscretePosterior", "discrete_layers"]


class DiscretePosterior(ParametricPosterior):
    r"""q(z_1, ..., z_n | x) = q(z_1 | x) \prod_{l < n} q(z_{l+1} | z_l), every z_l discrete.

    z is the layers' concatenation, that nearest the data first: 0 or 1 for Bernoulli units,
    one-hot blocks for categorical ones. One layer is the usual factorised posterior.

    Args:
        inputs: (x, observed) -> features, such as `networks.InputFeatures`.
        layers: q(z_1 | features), then q(z_{l+1} | z_l), with `Bernoulli` or `OneHot` heads.

    Raises:
        OptionError: no layer, or one whose head is not discrete.

    Example:
        >>> from ancestral.core import Kind, Specification
        >>> from ancestral.networks import InputFeatures
        >>> inputs = InputFeatures(Specification(Kind.BINARY, (6,)))
        >>> q = DiscretePosterior(
        ...     inputs,
        ...     [
        ...         LatentConditional(nn.Linear(6, 4), Bernoulli((4,))),
        ...         LatentConditional(nn.Linear(4, 3), OneHot((3,), num_levels=3)),
        ...     ],
        ... )
        >>> q.distribution(None, Batch(torch.ones(5, 6))).sample((2,)).shape
        torch.Size([2, 5, 7])

    References:
        | Neural Variational Inference and Learning in Belief Networks (Mnih & Gregor, 2014),
        | section 3.3
    """

    reparameterized = False

    def __init__(self, inputs: nn.Module, layers: Sequence[LatentConditional]) -> None:
        super().__init__()
        if not layers:
            raise OptionError("expected at least one layer of latent variables, got none")
        for layer in layers:
            if relaxation_of(layer.head) is None:
                raise OptionError(
                    f"expected discrete layers, got one of {layer.head}",
                    hint="give each layer a Bernoulli or a OneHot head over a vector",
                )
        self.inputs = inputs
        self.layers = nn.ModuleList(layers)

    @property
    def heads(self) -> tuple[Head, ...]:
        """Of the layers."""
        return tuple(layer.head for layer in self.layers)  # type: ignore[misc]

    def distribution(self, model: LatentVariableModel, batch: Batch) -> DiscreteLayers:
        """q(z | x)."""
        del model
        first, *others = (_logits_of(layer) for layer in self.layers)  # type: ignore[arg-type]
        return DiscreteLayers(self.heads, first(self.inputs(batch.x, batch.observed)), others)


class DiscreteLayers(Distribution):
    r"""q(z_1) \prod_l q(z_{l+1} | z_l) over the concatenated z, with what estimators ask of it.

    Args:
        heads: of the layers, `Bernoulli` or `OneHot`, over vectors.
        first: logits of the first layer, [*batch_shape, L_1].
        conditionals: z_l -> logits of z_{l+1}, for l = 1, ..., n - 1.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support: ClassVar[constraints.Constraint] = constraints.real_vector  # pyright: ignore

    def __init__(
        self,
        heads: Sequence[Head],
        first: Tensor,
        conditionals: Sequence[Callable[[Tensor], Tensor]] = (),
    ) -> None:
        self.heads = tuple(heads)
        self.first = first
        self.conditionals = tuple(conditionals)
        self.sizes = tuple(head.event_shape[0] for head in self.heads)
        found = tuple(relaxation_of(head) for head in self.heads)
        self.relaxations: tuple[Relaxation, ...] = tuple(r for r in found if r is not None)
        assert len(self.relaxations) == len(self.heads) == len(self.conditionals) + 1
        super().__init__(first.shape[:-1], Size((sum(self.sizes),)), validate_args=False)

    @property
    def num_layers(self) -> int:
        """Stochastic layers."""
        return len(self.sizes)

    @property
    def num_states(self) -> int:
        """Values that z can take."""
        pairs = zip(self.relaxations, self.sizes, strict=True)
        return math.prod(relaxation.num_states(size) for relaxation, size in pairs)

    @property
    def mean(self) -> Tensor:
        """E[z], of a single layer.

        Raises:
            NotImplementedError: of several layers only the first has a formula.
        """
        if self.num_layers > 1:
            raise NotImplementedError("the mean of several discrete layers has no closed form")
        return self.relaxations[0].mean(self.first)

    def split(self, z: Tensor) -> tuple[Tensor, ...]:
        """[..., L] -> the layers."""
        return z.split(self.sizes, -1)

    def logits(self, layer: int, below: Tensor | None) -> Tensor:
        """Logits of a layer, counted from 0, given the one below; the first needs none."""
        if layer == 0:
            return self.first
        assert below is not None
        return self.conditionals[layer - 1](below)

    def log_prob_layer(self, layer: int, logits: Tensor, z: Tensor) -> Tensor:
        """Log q(z_layer | its logits), [...].

        Also for relaxed z, between the discrete values, to which it is continued linearly.
        """
        head = self.heads[layer]
        return head.log_prob(logits.unflatten(-1, head.feature_shape), z)

    def log_prob_layers(self, value: Tensor) -> Tensor:
        """Log q of each layer given the one below, [..., n]."""
        layers = self.split(value)
        below = (None, *layers[:-1])
        return torch.stack(
            [
                self.log_prob_layer(i, self.logits(i, below[i]), layers[i])
                for i in range(self.num_layers)
            ],
            -1,
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """Log q in nats, [...]; [states, 1, L] gives [states, *batch_shape]."""
        return self.log_prob_layers(value).sum(-1)

    def sample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Draws from the first layer up, [*sample_shape, *batch_shape, L]."""
        with torch.no_grad():
            layers: list[Tensor] = []
            logits = self.first.expand(*sample_shape, *self.first.shape)
            for i, relaxation in enumerate(self.relaxations):
                logits = logits if i == 0 else self.logits(i, layers[-1])
                layers.append(relaxation.hard(logits + relaxation.noise(logits)))
        return torch.cat(layers, -1)

    def enumerate_support(self, expand: bool = True) -> Tensor:  # noqa: FBT001, FBT002
        """All values of z, [states, *batch_shape, L], or [states, 1, ..., L] if not expanded."""
        states = self.relaxations[0].states(self.first[..., : self.sizes[0]])
        for relaxation, size in zip(self.relaxations[1:], self.sizes[1:], strict=True):
            own = relaxation.states(self.first.new_zeros(size))
            here, there = len(states), len(own)
            states = torch.cat((states.repeat_interleave(there, 0), own.repeat(here, 1)), -1)
        states = states.reshape(len(states), *[1] * len(self.batch_shape), -1)
        return states.expand(-1, *self.batch_shape, -1) if expand else states


def discrete_layers(q: Distribution, asked_by: str) -> DiscreteLayers:
    """Some distribution as discrete layers.

    Understood are `DiscreteLayers`, heads `Bernoulli` and `OneHot` over vectors, and torch's
    Bernoulli and OneHotCategorical, wrapped in Independent.

    Args:
        q: batch shape [batch].
        asked_by: who needs it, for the message.

    Raises:
        IncompatibleChoices: q is not one of them.

    Example:
        >>> q = td.Independent(td.Bernoulli(logits=torch.zeros(5, 3)), 1)
        >>> discrete_layers(q, "Concrete").num_states
        8
    """
    if isinstance(q, DiscreteLayers):
        return q
    if isinstance(q, HeadDistribution) and relaxation_of(q.head) is not None:
        flat = q.features.flatten(-len(q.head.feature_shape))
        return DiscreteLayers((q.head,), flat)
    base = q.base_dist if isinstance(q, td.Independent) else q
    if isinstance(base, td.Bernoulli) and len(q.event_shape) == 1:
        return DiscreteLayers((Bernoulli(tuple(q.event_shape)),), base.logits)
    if isinstance(base, td.OneHotCategorical) and len(q.event_shape) == 1:
        levels = base.event_shape[0]
        return DiscreteLayers((OneHot((levels,), levels),), base.logits)
    raise IncompatibleChoices(
        f"{asked_by} needs discrete latent variables, got q(z | x) = {type(q).__name__}",
        hint="use Pathwise() for posteriors with reparameterised draws, or "
        "ScoreFunction(LeaveOneOut()), which takes any posterior with a density",
    )


def _logits_of(layer: LatentConditional) -> Callable[[Tensor], Tensor]:
    """C -> logits, flat."""

    def logits(context: Tensor) -> Tensor:
        given = layer(context)
        assert isinstance(given, HeadDistribution)
        return given.features.flatten(-len(layer.head.feature_shape))

    return logits
