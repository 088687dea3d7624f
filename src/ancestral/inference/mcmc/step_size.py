"""Step sizes that follow the acceptance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import OptionError

__all__ = ["StepSizeRule"]


@dataclass(frozen=True)
class StepSizeRule:
    r"""log s += gain (acceptance - target): longer steps where too many are accepted.

    Given the alignment of momenta, the change is gain min(acceptance - target, alignment):
    no longer than trajectories of a quarter of a period. Beyond it they come back: after half a
    period, distances from the mode are what they were, and so is log f.

    The rate does not fall to zero, since the density changes along an annealing path. A chain
    whose step size follows its own past no longer leaves its density invariant: let some chains
    set the step size of others (`evidence.AnnealedImportance`), or stop before samples count.

    Args:
        target: acceptance to aim at; 0.65 is optimal in high dimensions.
        gain: change of log s for a whole unit of acceptance.
        smallest: of s.
        largest: of s.

    Example:
        >>> import torch
        >>> rule = StepSizeRule(gain=1.0)
        >>> rule.updated(torch.tensor([1.0, 1.0]), torch.tensor([0.65, 0.0]))
        tensor([1.0000, 0.5220])

    References:
        | Optimal Tuning of the Hybrid Monte Carlo Algorithm (Beskos et al., 2013): 0.651
        | On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al., 2017):
        | step sizes adapted between temperatures, section 4.1
    """

    target: float = 0.65
    gain: float = 0.2
    smallest: float = 1e-5
    largest: float = 10.0

    def __post_init__(self) -> None:
        if not (0 < self.target < 1 and self.gain >= 0 and 0 < self.smallest < self.largest):
            raise OptionError(
                "expected 0 < target < 1, gain >= 0 and 0 < smallest < largest, got "
                f"{self.target}, {self.gain}, {self.smallest}, {self.largest}"
            )

    def updated(
        self, step_size: Tensor, acceptance: Tensor, alignment: Tensor | None = None
    ) -> Tensor:
        """The step sizes after some transitions, of the same shape."""
        change = acceptance - self.target
        if alignment is not None:
            change = torch.minimum(change, alignment)
        return (step_size * (self.gain * change).exp()).clamp(self.smallest, self.largest)
