"""`RowSteps`: convolutions that do once for a row what they can, and step within it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from ancestral.core.errors import OptionError
from ancestral.networks.causal.image_cells import CausalConvolution, ImageCausal
from ancestral.networks.causal.network import check_context

__all__ = ["RowState", "RowSteps", "check_kernel_sizes"]


class RowState(Protocol):
    """What steps within rows remember."""

    def put(self, encoded: Tensor, first: int) -> None:
        """Take encoded values, [batch, numbers], from a place of the row on."""
        ...

    def enter_row(self) -> None:
        """Make what the next row has from above."""
        ...

    def cell(self, pixel: int, channel: int, bias: Tensor) -> Tensor:
        """The features of a cell of the row, [batch, P]."""
        ...


State = TypeVar("State", bound=RowState)


class RowSteps(ImageCausal, Generic[State]):
    """A causal network of images whose last product is `last`, of the maps of `hidden_maps`."""

    last: CausalConvolution

    @abstractmethod
    def hidden_maps(self, x: Tensor, context: Tensor | None) -> Tensor:
        """What the last layer reads, [batch, maps, H, W]."""

    @abstractmethod
    def start(self, batch_size: int, context: Tensor | None) -> State:
        """Nothing is known, and no row entered."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All cells at once."""
        check_context(context, self.context_size, len(x))
        return self.by_cell(self.last(self.hidden_maps(x, context)))

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """What the last layer reads, of each pixel before it is known, [batch, H W, maps]."""
        check_context(context, self.context_size, len(x))
        return self.hidden_maps(x, context).flatten(2).transpose(1, 2)

    def init_state(self, batch_size: int, context: Tensor | None = None) -> State:
        """Nothing is known."""
        check_context(context, self.context_size, batch_size)
        return self.start(batch_size, context)

    def step(self, state: State, t: int, prev: Tensor | None) -> tuple[Tensor, State]:
        """One channel of one pixel; with the first of a row, what the row has from above."""
        if prev is not None:
            encoded = self.encoding.at(prev, t - 1)
            state.put(encoded, (t - 1) % self.cells_in_row * self.encoding.size)
        cell = t % self.cells_in_row
        if cell == 0:
            state.enter_row()
        pixel, channel = divmod(cell, self.image_shape[2])
        return state.cell(pixel, channel, self.bias_of(t)), state

    def init_blocks(self, batch_size: int, context: Tensor | None = None) -> State:
        """The same state as for steps."""
        return self.init_state(batch_size, context)


def check_kernel_sizes(kernel_size: int, first_kernel_size: int) -> None:
    """Refuse kernels without a middle, or that see nothing but it.

    Raises:
        OptionError: one is even or less than 3.
    """
    for name, given in (
        ("kernel_size", kernel_size),
        ("first_kernel_size", first_kernel_size),
    ):
        if given < 3 or given % 2 == 0:
            raise OptionError(f"expected {name} to be odd and at least 3, got {given}")
