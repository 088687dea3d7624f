"""Discrete variables as thresholds of noisy logits, and their smooth relaxations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ancestral.core.noise import exponential_noise, uniform_noise
from ancestral.distributions.bernoulli import Bernoulli
from ancestral.distributions.head import Head
from ancestral.distributions.one_hot import OneHot

__all__ = ["BinaryRelaxation", "OneHotRelaxation", "Relaxation", "relaxation_of"]


class Relaxation(Protocol):
    r"""z = hard(logits + noise), and relaxed(logits + noise, t) -> z as t -> 0.

    All tensors are [..., L], logits included; functions are differentiable in the logits.
    """

    def noise(self, logits: Tensor) -> Tensor:
        """Noise of the logits' shape: logistic, or Gumbel."""
        ...

    def noisy_given(self, logits: Tensor, z: Tensor) -> Tensor:
        """A draw of logits + noise given that hard(logits + noise) = z, reparameterised."""
        ...

    def hard(self, noisy: Tensor) -> Tensor:
        """The discrete value."""
        ...

    def relaxed(self, noisy: Tensor, temperature: Tensor | float) -> Tensor:
        """The smooth value, between discrete ones."""
        ...

    def mean(self, logits: Tensor) -> Tensor:
        """E[z]."""
        ...

    def num_states(self, size: int) -> int:
        """Of `size` numbers."""
        ...

    def states(self, like: Tensor) -> Tensor:
        """All values, [states, L], with L that of `like`'s last axis."""
        ...


@dataclass(frozen=True)
class BinaryRelaxation:
    """Bernoulli variables: logits and logistic noise, thresholded at 0 or squashed.

    References:
        | The Concrete Distribution (Maddison, Mnih & Teh, 2017), appendix B
        | REBAR (Tucker et al., 2017), appendix B: noise given the value
    """

    def noise(self, logits: Tensor) -> Tensor:
        """Logistic."""
        return _uniform(logits).logit()

    def noisy_given(self, logits: Tensor, z: Tensor) -> Tensor:
        """log(1 + e^n / P(z = 0)) for z = 1, and its mirror image for z = 0, n logistic."""
        sign = 2 * z - 1
        return sign * F.softplus(self.noise(logits) + F.softplus(sign * logits))

    def hard(self, noisy: Tensor) -> Tensor:
        """1 above 0."""
        return (noisy > 0).to(noisy.dtype)

    def relaxed(self, noisy: Tensor, temperature: Tensor | float) -> Tensor:
        """Sigmoid(noisy / temperature)."""
        return (noisy / temperature).sigmoid()

    def mean(self, logits: Tensor) -> Tensor:
        """P(z = 1)."""
        return logits.sigmoid()

    def num_states(self, size: int) -> int:
        """2^L."""
        return 2**size

    def states(self, like: Tensor) -> Tensor:
        """Counting in binary."""
        size = like.shape[-1]
        codes = torch.arange(2**size, device=like.device).unsqueeze(-1)
        places = torch.arange(size - 1, -1, -1, device=like.device)
        return (codes >> places & 1).to(like.dtype)


@dataclass(frozen=True)
class OneHotRelaxation:
    """Categorical variables as one-hot blocks: logits and Gumbel noise, argmax or softmax.

    Args:
        num_levels: numbers of a block.

    References:
        | Categorical Reparameterization with Gumbel-Softmax (Jang, Gu & Poole, 2017), section 2
        | REBAR (Tucker et al., 2017), appendix B: noise given the value
    """

    num_levels: int

    def noise(self, logits: Tensor) -> Tensor:
        """Gumbel."""
        return -_exponential(logits).log()

    def noisy_given(self, logits: Tensor, z: Tensor) -> Tensor:
        """The largest is Gumbel around log sum exp(logits), the others are cut off below it."""
        logits, z = self._blocks(logits), self._blocks(z)
        log_exponential = _exponential(logits).log()
        own = (log_exponential * z).sum(-1, keepdim=True)
        largest = logits.logsumexp(-1, keepdim=True) - own
        below = -torch.logaddexp(-largest, log_exponential - logits)
        return torch.where(z > 0.5, largest, below).flatten(-2)

    def hard(self, noisy: Tensor) -> Tensor:
        """1 at the largest of each block."""
        blocks = self._blocks(noisy)
        chosen = blocks.argmax(-1, keepdim=True)
        return torch.zeros_like(blocks).scatter(-1, chosen, 1.0).flatten(-2)

    def relaxed(self, noisy: Tensor, temperature: Tensor | float) -> Tensor:
        """Softmax(noisy / temperature) of each block."""
        return (self._blocks(noisy) / temperature).softmax(-1).flatten(-2)

    def mean(self, logits: Tensor) -> Tensor:
        """The probabilities."""
        return self._blocks(logits).softmax(-1).flatten(-2)

    def num_states(self, size: int) -> int:
        """Levels to the power of the number of variables."""
        return self.num_levels ** (size // self.num_levels)

    def states(self, like: Tensor) -> Tensor:
        """Counting in base `num_levels`."""
        num_variables = like.shape[-1] // self.num_levels
        codes = torch.tensor(list(product(range(self.num_levels), repeat=num_variables)))
        return F.one_hot(codes.to(like.device), self.num_levels).to(like.dtype).flatten(-2)

    def _blocks(self, values: Tensor) -> Tensor:
        return values.unflatten(-1, (-1, self.num_levels))


def relaxation_of(head: Head) -> Relaxation | None:
    """How a head's variables are relaxed; None if they are not discrete vectors.

    Example:
        >>> relaxation_of(Bernoulli((3,)))
        BinaryRelaxation()
    """
    if isinstance(head, Bernoulli) and len(head.event_shape) == 1:
        return BinaryRelaxation()
    if isinstance(head, OneHot):
        return OneHotRelaxation(head.num_levels)
    return None


def _uniform(like: Tensor) -> Tensor:
    """In the open unit interval."""
    info = torch.finfo(like.dtype)
    return uniform_noise(like.shape, like).clamp_(info.tiny, 1 - info.eps)


def _exponential(like: Tensor) -> Tensor:
    return exponential_noise(like.shape, like).clamp_min_(torch.finfo(like.dtype).tiny)
