"""The weight of the KL term at the start of training."""

from __future__ import annotations

from dataclasses import dataclass

from ancestral.core import OptionError

__all__ = ["WarmUp"]


@dataclass(frozen=True)
class WarmUp:
    """The weight of the KL term grows linearly from `start` to 1 (Bowman et al., 2016).

    Args:
        num_steps: steps until the weight is 1; 0 for none.
        start: weight at step 0.
    """

    num_steps: int = 0
    start: float = 0.0

    def __post_init__(self) -> None:
        if self.num_steps < 0 or not 0 <= self.start <= 1:
            raise OptionError(
                f"expected num_steps >= 0 and 0 <= start <= 1, got {self.num_steps}, {self.start}"
            )

    @property
    def changes_weight(self) -> bool:
        """Whether any step has another weight than 1."""
        return self.num_steps > 0 and self.start < 1

    def weight(self, step: int) -> float:
        """KL weight at a step.

        Example:
            >>> WarmUp(num_steps=4).weight(1), WarmUp(num_steps=4).weight(9)
            (0.25, 1.0)
        """
        if step >= self.num_steps:
            return 1.0
        return self.start + (1 - self.start) * step / self.num_steps

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """When the warm-up of a run of so many steps ends, and a warning if it does not."""
        n = self.num_steps
        if n == 0:
            return []
        text = f"KL warm-up ends at step {n}, in epoch {n // max(steps_per_epoch, 1) + 1}"
        if n > num_steps:
            return [
                f"{text}, which this run of {num_steps} steps does not reach: "
                "the model would be trained on something else than the bound"
            ]
        return [text]
