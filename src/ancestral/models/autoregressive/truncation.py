"""Temperature, top-k and top-p: sampling from another distribution than the model's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import OptionError

__all__ = ["Truncation", "quantile"]


@dataclass(frozen=True)
class Truncation:
    r"""p'(k) \propto p(k)^{1 / temperature}, over the likeliest codes only.

    What it draws is not distributed as the model says; scores of the model do not apply to it.

    Args:
        temperature: below 1 favours likely codes, above 1 evens out; 1 changes nothing.
        top_k: keep so many of the likeliest codes, exactly: among equals the first; None: all.
        top_p: keep the fewest likeliest codes that together have at least this mass (Holtzman
            et al., 2020, The Curious Case of Neural Text Degeneration, section 3.1); None: all.

    Example:
        >>> Truncation(top_k=1)(torch.tensor([0.2, 0.5, 0.3]))
        tensor([0., 1., 0.])
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise OptionError(
                f"expected a temperature above 0, got {self.temperature}",
                hint="top_k=1 always takes the likeliest code",
            )
        if self.top_k is not None and self.top_k < 1:
            raise OptionError(f"expected top_k of at least 1, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise OptionError(f"expected top_p in (0, 1], got {self.top_p}")

    def __call__(self, table: Tensor) -> Tensor:
        """[..., K] masses -> [..., K] masses; temperature first, then top-k, then top-p."""
        if self.temperature != 1:
            # the largest is 0 before it is divided, so that no temperature makes it infinite
            logs = table.log()
            logs = logs - logs.amax(-1, keepdim=True)
            least = torch.finfo(table.dtype).tiny
            table = (logs / max(self.temperature, least)).softmax(-1)
        if self.top_k is not None and self.top_k < table.shape[-1]:
            ranks = table.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
            table = table.masked_fill(ranks >= self.top_k, 0.0)
            table = table / table.sum(-1, keepdim=True)
        if self.top_p is not None:
            ordered, index = table.sort(dim=-1, descending=True, stable=True)
            before = ordered.cumsum(-1) - ordered
            ordered = ordered.masked_fill(before >= self.top_p, 0.0)
            table = table.new_zeros(table.shape).scatter(-1, index, ordered)
            table = table / table.sum(-1, keepdim=True)
        return table


def quantile(table: Tensor, u: Tensor) -> Tensor:
    """The first code whose cumulative mass reaches u: [..., K], [...] -> [...]."""
    cumulative = table.cumsum(-1)
    # rounding must not reach a code without mass behind the last one that has some
    total = cumulative[..., -1:]
    reached = cumulative < (u.unsqueeze(-1) * total)
    return reached.sum(-1).clamp_max(table.shape[-1] - 1).to(table.dtype)
