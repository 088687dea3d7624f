"""`Units`: between the data's units and the ones a network works in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ancestral.core import DataDependent, Kind, Specification
from ancestral.core.shapes import sum_event

__all__ = ["Units"]


class Units(nn.Module, DataDependent):
    r"""The bijection y = (x - loc) / scale, cell by cell, for cells that hold real numbers.

    Densities are those of the data as given: :math:`\log p(x) = \log p(y) - \sum \log s`, over
    the observed cells. Cells of other kinds, and integer ones, keep their units (s = 1).
    Images share one loc and scale; columns of tables have their own.

    Args:
        spec: what x is.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, spec: Specification) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("loc", torch.zeros(spec.shape))
        self.register_buffer("scale", torch.ones(spec.shape))

    @property
    def is_identity(self) -> bool:
        """Whether no cell changes its units, so that the work can be saved."""
        return Kind.REAL not in self.spec.kinds

    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Mean and standard deviation of the observed training cells."""
        if self.is_identity:
            return
        weight = torch.ones_like(x) if observed is None else observed.to(x.dtype)
        over = (0,) if self.spec.image_shape is None else tuple(range(x.ndim))
        # sums in double and in two passes: data far from zero would drown in rounding otherwise
        count = weight.sum(over, dtype=torch.float64).clamp_min(1)
        loc = ((x * weight).sum(over, dtype=torch.float64) / count).to(x.dtype)
        squares = ((x - loc) * weight).square().sum(over, dtype=torch.float64)
        highest, lowest = x, x
        if observed is not None:
            highest = x.masked_fill(~observed, -torch.inf)
            lowest = x.masked_fill(~observed, torch.inf)
        # a cell that never changes keeps its units, whatever rounding makes of its variance
        varies = highest.amax(over) > lowest.amin(over)
        spread = torch.where(varies, (squares / count).sqrt(), 1.0)
        real = self._real_cells(x.device)
        self.loc.copy_(torch.where(real, loc, 0.0))
        self.scale.copy_(torch.where(real, spread, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """From the data's units to the network's."""
        return (x - self.loc) / self.scale

    def inverse(self, y: Tensor) -> Tensor:
        """From the network's units to the data's."""
        return y * self.scale + self.loc

    def log_det(self, observed: Tensor | None = None) -> Tensor:
        """Log |dy/dx| in nats, summed over the observed cells: [] or the mask's leading axes."""
        log_scale = self.scale.log()
        if observed is None:
            return -log_scale.sum()
        return -sum_event(torch.where(observed, log_scale, 0.0), len(self.spec.shape))

    def _real_cells(self, device: torch.device) -> Tensor:
        if self.spec.columns is None:
            return torch.ones(self.spec.shape, dtype=torch.bool, device=device)
        return torch.tensor([c.kind is Kind.REAL for c in self.spec.columns], device=device)
