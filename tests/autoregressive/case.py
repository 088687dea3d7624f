"""`Case`: a small autoregressive model that the contract is tested on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.models.autoregressive import AutoregressiveModel

__all__ = ["Case", "all_states", "randomized"]


@dataclass(frozen=True)
class Case:
    """A model, and what the contract should know of it.

    Args:
        name: in test names.
        build: a fresh model with the current default dtype, in training mode.
        num_codes: K, if each sub-symbol is one of 0 .. K - 1; None for real numbers.
        enumerable: whether K ** (T W) states are few enough to list.
        sees: (number of steps between) -> whether a site must depend on the one so many steps
            before it; None: on all before it. Or [T, T] bool by a function of no arguments in
            `pattern`.
        pattern: [T, T] bool, whether features of step t (row) depend on the value of step s.
        unused: names of parameters -> entries that must get no gradient (a bool tensor of the
            parameter's shape).
        learns_copy: whether it can learn that all sites are equal, in a few hundred steps.
    """

    name: str
    build: Callable[[], AutoregressiveModel]
    num_codes: int | None = 2
    enumerable: bool = True
    sees: Callable[[int], bool] | None = None
    pattern: Callable[[], Tensor] | None = None
    unused: Callable[[AutoregressiveModel], dict[str, Tensor]] | None = None
    learns_copy: bool = True

    def model(self) -> AutoregressiveModel:
        """Ready to be asked, with weights that make every dependence visible."""
        torch.manual_seed(0)
        return randomized(self.build()).eval()

    def values(self, model: AutoregressiveModel, num_rows: int) -> Tensor:
        """Random data, [rows, *shape]."""
        if self.num_codes is None:
            return torch.randn(num_rows, *model.shape)
        codes = torch.randint(self.num_codes, (num_rows, *model.shape))
        return codes.to(torch.get_default_dtype())

    def context(self, model: AutoregressiveModel, num_rows: int) -> Tensor | None:
        """A random context, if the model takes one."""
        network = model.network
        return torch.randn(num_rows, *network.context_shape) if network.context_size else None

    def expected(self, num_sites: int) -> Tensor:
        """[T, T] bool: whether the features of step t depend on the value of step s."""
        if self.pattern is not None:
            return self.pattern()
        between = torch.arange(num_sites).unsqueeze(1) - torch.arange(num_sites)
        if self.sees is None:
            return between > 0
        sees = self.sees
        return between.apply_(lambda lag: lag > 0 and sees(int(lag))).bool()


def randomized(model: AutoregressiveModel, scale: float = 0.7) -> AutoregressiveModel:
    """Add noise to every parameter: symmetric or zero starts hide dependences."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            fan_in = max(1, math.prod(parameter.shape[1:]))
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(scale * noise.to(parameter.dtype) / max(1.0, fan_in**0.5 / 2))
    return model


def all_states(num_codes: int, shape: tuple[int, ...]) -> Tensor:
    """Every x, [num_codes ** cells, *shape]."""
    cells = math.prod(shape)
    grid = torch.cartesian_prod(*[torch.arange(num_codes)] * cells)
    return grid.reshape(-1, *shape).to(torch.get_default_dtype())
