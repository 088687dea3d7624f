"""`OneHot`: categorical variables as blocks of zeros and a one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributions as td
from torch.distributions import Distribution

from ancestral.core.errors import DataError, OptionError
from ancestral.core.shapes import expect_event
from ancestral.distributions.cells import single
from ancestral.distributions.head import Head
from ancestral.distributions.wrapper import HeadDistribution

__all__ = ["OneHot"]


@dataclass(frozen=True)
class OneHot(Head):
    """Independent categorical variables, each a block of `num_levels` numbers of which one is 1.

    The form of categorical latent variables: one float tensor, on which networks and relaxations
    work. Features are the logits, in the same places. `Categorical` is the head of data, whose
    cells hold codes.

    Args:
        event_shape: (variables times levels,).
        num_levels: of each variable, at least 2.

    Example:
        >>> OneHot((6,), num_levels=3).log_prob(
        ...     torch.zeros(6), torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 1.0])
        ... ).exp()
        tensor(0.1111)
    """

    event_shape: tuple[int, ...]
    num_levels: int

    def __post_init__(self) -> None:
        if self.num_levels < 2:
            raise OptionError(f"expected at least 2 levels, got {self.num_levels}")
        if len(self.event_shape) != 1 or self.event_shape[0] % self.num_levels:
            raise OptionError(
                f"expected a vector of whole blocks of {self.num_levels} numbers, got shape "
                f"{list(self.event_shape)}",
                hint="the size is that of all variables together: variables times levels",
            )

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """A logit for each number."""
        return self.event_shape

    @property
    def is_discrete(self) -> bool:
        """Yes: each number is 0 or 1."""
        return True

    def blocks(self, values: Tensor) -> Tensor:
        """[..., variables * levels] -> [..., variables, levels]."""
        return values.unflatten(-1, (-1, self.num_levels))

    def log_prob(self, features: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Sum over variables of the logit that is chosen, less the log of the normaliser."""
        logits = self.blocks(single(features)).log_softmax(-1)
        terms = (logits * self.blocks(x)).sum(-1)
        if observed is not None:
            terms = torch.where(self.blocks(observed).all(-1), terms, 0.0)
        return terms.sum(-1)

    def __call__(self, features: Tensor) -> Distribution:
        """The blocks as one distribution."""
        return HeadDistribution(self, features)

    def mean(self, features: Tensor) -> Tensor:
        """The probabilities, in the same places."""
        return self.blocks(single(features)).softmax(-1).flatten(-2)

    def representative(self, features: Tensor) -> Tensor:
        """The likeliest blocks."""
        return _largest(self.blocks(single(features))).flatten(-2)

    def sample(self, features: Tensor) -> Tensor:
        """The largest of logits and Gumbel noise, block by block."""
        logits = self.blocks(single(features))
        exponential = torch.empty_like(logits).exponential_()
        return _largest(logits - exponential.log()).flatten(-2)

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's OneHotCategorical, a block being an event."""
        return td.OneHotCategorical(logits=self.blocks(features), validate_args=False)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log-frequencies, each level counted half a time more than it occurs."""
        weight = torch.ones_like(x) if observed is None else observed.to(x.dtype)
        count = self.blocks((x * weight).sum(0) + 0.5)
        return (count / count.sum(-1, keepdim=True)).log().flatten(-2)

    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Refuse anything but blocks with a single one."""
        expect_event(x, self.event_shape, "one-hot blocks")
        blocks = self.blocks(x)
        holds = ((blocks == 0) | (blocks == 1)).all(-1) & (blocks.sum(-1) == 1)
        if observed is not None:
            holds = holds | ~self.blocks(observed).all(-1)
        if not bool(holds.all()):
            raise DataError(
                f"a one-hot likelihood needs blocks of {self.num_levels} numbers, one of them 1 "
                "and the others 0, got other numbers",
                hint="codes 0, 1, 2, ... are data of a categorical likelihood",
            )


def _largest(logits: Tensor) -> Tensor:
    """1 at the largest of the last axis, 0 elsewhere."""
    chosen = logits.argmax(-1, keepdim=True)
    return torch.zeros_like(logits).scatter_(-1, chosen, 1.0)
