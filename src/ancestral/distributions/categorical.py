"""`Categorical`: a mass for each code, which assumes nothing of their order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributions as td

from ancestral.core.errors import OptionError
from ancestral.core.specification import Kind
from ancestral.distributions.cells import CellHead, single
from ancestral.distributions.support import Support, codes

__all__ = ["Categorical"]


@dataclass(frozen=True)
class Categorical(CellHead):
    """P(x = k) = softmax(logits)_k, features `(num_levels, *event_shape)`.

    Args:
        event_shape: shape of one x, whose cells hold codes 0 .. num_levels - 1 as numbers.
        num_levels: number of codes, at least 2.
        kind: of the codes: whether they have an order decides what stands for them in pictures.

    Example:
        >>> import torch
        >>> head = Categorical((3,), num_levels=4)
        >>> head.log_prob(torch.zeros(4, 3), torch.tensor([0.0, 1.0, 3.0])).exp()
        tensor(0.0156)
    """

    event_shape: tuple[int, ...]
    num_levels: int
    kind: Kind = Kind.CATEGORICAL

    def __post_init__(self) -> None:
        if self.num_levels < 2:
            raise OptionError(f"expected at least 2 levels, got {self.num_levels}")

    @property
    def num_parameters(self) -> int:
        """A logit for each code."""
        return self.num_levels

    @property
    def support(self) -> Support:
        """The codes."""
        return codes(self.num_levels)

    def _log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        index = x.long().unsqueeze(self.axis)
        leading = torch.broadcast_shapes(features.shape[: self.axis], index.shape[: self.axis])
        logits = features.expand(*leading, *self.feature_shape)
        chosen = logits.gather(self.axis, index.expand(*leading, 1, *self.event_shape))
        return chosen.squeeze(self.axis) - features.logsumexp(self.axis)

    def probs(self, features: Tensor) -> Tensor:
        """P(x = k) for each code, [..., num_levels, *event_shape]."""
        return single(features).softmax(self.axis)

    def table(self, features: Tensor) -> Tensor:
        """The same as `probs`."""
        return self.probs(features)

    def mean(self, features: Tensor) -> Tensor:
        """The expected code, which says something only where codes have an order."""
        levels = torch.arange(self.num_levels, device=features.device)
        levels = levels.reshape(-1, *[1] * len(self.event_shape))
        return (self.probs(features) * levels).sum(self.axis)

    def representative(self, features: Tensor) -> Tensor:
        """The likeliest code, or the mean of levels, which have an order."""
        if self.kind is Kind.LEVELS:
            return self.mean(features)
        return features.argmax(self.axis).to(single(features).dtype)

    def icdf(self, features: Tensor, u: Tensor) -> Tensor:
        """The first code whose cumulative probability reaches u."""
        cumulative = self.probs(features).cumsum(self.axis)
        # the last sum may round to less than 1, so that the last code is what remains
        reached = cumulative.narrow(self.axis, 0, self.num_levels - 1)
        return (reached < u.unsqueeze(self.axis)).sum(self.axis).to(u.dtype)

    def initial_features(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log-frequencies of the codes, each code counted half a time more than it occurs."""
        cells = x.flatten(1)
        offset = torch.arange(cells.shape[1], device=x.device) * self.num_levels
        weights = None if observed is None else observed.flatten().to(x.dtype)
        index = cells.long().clamp(0, self.num_levels - 1) + offset
        count = torch.bincount(
            index.flatten(), weights=weights, minlength=cells.shape[1] * self.num_levels
        )
        count = count.to(x.dtype).reshape(-1, self.num_levels) + 0.5
        log_frequency = (count / count.sum(-1, keepdim=True)).log()
        return log_frequency.T.reshape(self.feature_shape)

    def as_torch(self, features: Tensor) -> td.Distribution:
        """Torch's Categorical."""
        return td.Categorical(logits=features.movedim(self.axis, -1), validate_args=False)
