"""`CausalNetwork`: the features of a site depend on the sites before it, and on nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ancestral.core.errors import IncompatibleChoices, OptionError, ShapeError
from ancestral.core.native_draw import NativeDraw

__all__ = ["CausalNetwork", "Prefix", "State", "check_context", "checked_order", "raster_order"]

State = Any
"""What a network remembers between steps: nested tuples, lists, dicts and dataclasses of tensors,
each with the batch on its first axis, so that `core.pytrees.select` can pick rows of it."""


class CausalNetwork(nn.Module, ABC):
    """Values of T sites -> features of T sites, each from the sites before it alone.

    Sites are numbered as they are stored; `order[t]` is the site that is drawn at step t. What
    `forward` takes and gives is as stored. A site holds W sub-symbols, all known at once.

    Two ways to the same features: `forward`, of all sites in parallel, given their values; and
    `step`, of one site after the other. The `step` of this class runs `forward` on what is known
    so far, which is right for every subclass and costs a pass at each step. A subclass that can
    do better overrides `init_state` and `step`; a test compares the two.

    Attributes:
        num_sites: T.
        width: W.
        num_features: P, for each site.
        context_size: size of a context vector; 0 if the network takes none.
        order: [T] int64.
        is_raster: whether the order is that of storage.
    """

    order: Tensor
    is_raster: bool

    def __init__(
        self,
        num_sites: int,
        num_features: int,
        *,
        width: int = 1,
        context_size: int = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__()
        if num_sites < 1:
            raise OptionError(f"expected at least 1 site, got {num_sites}")
        self.num_sites = num_sites
        self.num_features = num_features
        self.width = width
        self.context_size = context_size
        self._set_order(checked_order(order, num_sites))

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Features of every site, given the values of all.

        Args:
            x: [batch, T, W], as stored.
            context: [batch, context_size], which reaches every site; None if there is none.

        Returns:
            [batch, T, P], as stored. Those of site order[t] depend on x at order[:t] alone.
        """

    def init_state(self, batch_size: int, context: Tensor | None = None) -> State:
        """What is known before the first step."""
        return Prefix.empty(self, batch_size, context)

    def step(self, state: State, t: int, prev: Tensor | None) -> tuple[Tensor, State]:
        """Take the value of the site before, give the features of this one.

        Steps are made in order, from 0 on. The state may be overwritten: `core.pytrees.clone` it
        to go on from it twice.

        Args:
            state: after step t - 1; at t = 0 what `init_state` gave.
            t: number of the step; the site is order[t].
            prev: [batch, W], value of site order[t - 1]; None at t = 0.

        Returns:
            Features [batch, P] of site order[t], and the new state.
        """
        assert isinstance(state, Prefix)
        return state.step(self, t, prev)

    def with_order(self, order: Sequence[int] | Tensor) -> CausalNetwork:
        """The same weights under another order of the sites, where they allow for that.

        Raises:
            IncompatibleChoices: the network was made for one order.
        """
        del order
        raise IncompatibleChoices(
            f"{type(self).__name__} was made for one order of the sites",
            hint="order-agnostic models (made with several orders, eonade) can change theirs",
        )

    def with_length(self, num_sites: int) -> CausalNetwork:
        """The same weights for another number of sites, where they allow for that.

        Raises:
            IncompatibleChoices: the network was made for one length.
        """
        del num_sites
        raise IncompatibleChoices(
            f"{type(self).__name__} was made for sequences of {self.num_sites} sites",
            hint="wavenet, whose weights are the same at each site, can change its length",
        )

    def generate(
        self, draw: NativeDraw, uniforms: Tensor, context: Tensor | None = None
    ) -> Tensor | None:
        """All sites drawn by one native kernel; None where there is none, as here.

        What it gives is what steps and draws one after the other give, up to rounding: a fast
        path for samplers, on the CPU, without gradients.

        Args:
            draw: of one site, whichever it is.
            uniforms: [batch, T, num_uniforms], as stored.
            context: of the batch.

        Returns:
            [batch, T, W], as stored; or None.
        """
        del draw, uniforms, context
        return None

    @property
    def context_shape(self) -> tuple[int, ...]:
        """Of one context: (context_size,), or (T, context_size) where each site has its own."""
        return (self.context_size,)

    @property
    def has_cached_step(self) -> bool:
        """Whether a step costs less than a pass."""
        return type(self).step is not CausalNetwork.step

    @property
    def step_products(self) -> int:
        """Multiplications of a step for each row, at most: it decides on the number of threads."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and of what is drawn."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return self.order.device

    def _set_order(self, order: Tensor) -> None:
        # whether it is the order of storage is asked in each pass, and to read a tensor there
        # would be to wait for an accelerator
        self.register_buffer("order", order)
        self.is_raster = torch.equal(order.cpu(), raster_order(len(order)))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Refuse weights of another order: masks and the like were made for this one.

        Raises:
            IncompatibleChoices: the order that was saved is not the network's.
        """
        saved = state_dict.get(f"{prefix}order")
        if saved is not None and not torch.equal(saved.cpu(), self.order.cpu()):
            raise IncompatibleChoices(
                f"expected weights of {self.num_sites} sites in the order {_briefly(self.order)}, "
                f"got those of {len(saved)} sites in the order {_briefly(saved)}",
                hint="build the network for the sites and the order of the saved weights",
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@dataclass
class Prefix:
    """The state of a network that remembers nothing but the values themselves.

    Args:
        x: [batch, T, W], zero where not known yet.
        context: of the batch.
    """

    x: Tensor
    context: Tensor | None

    @staticmethod
    def empty(network: CausalNetwork, batch_size: int, context: Tensor | None) -> Prefix:
        """Nothing is known."""
        shape = (batch_size, network.num_sites, network.width)
        x = torch.zeros(shape, dtype=network.dtype, device=network.device)
        return Prefix(x, context)

    def step(self, network: CausalNetwork, t: int, prev: Tensor | None) -> tuple[Tensor, Prefix]:
        """A whole pass, of which one site's features are kept."""
        if prev is not None:
            self.x[:, int(network.order[t - 1])] = prev
        features = network.forward(self.x, self.context)
        return features[:, int(network.order[t])], self


def _briefly(order: Tensor) -> str:
    first = ", ".join(map(str, order[:8].tolist()))
    return f"[{first}, ...]" if len(order) > 8 else f"[{first}]"


def raster_order(num_sites: int) -> Tensor:
    """Sites in the order they are stored."""
    return torch.arange(num_sites)


def checked_order(order: Sequence[int] | Tensor | None, num_sites: int) -> Tensor:
    """A permutation of 0 .. num_sites - 1; None is the order of storage.

    Raises:
        OptionError: it is no such permutation.
    """
    if order is None:
        return raster_order(num_sites)
    found = torch.as_tensor(order, dtype=torch.int64).cpu()
    if found.shape != (num_sites,) or not torch.equal(
        found.sort().values, raster_order(num_sites)
    ):
        raise OptionError(
            f"expected an order of {num_sites} sites, each once, got {list(found.shape)} numbers",
            hint="an order lists the site of each step, counting from 0",
        )
    return found.clone()


def check_context(
    context: Tensor | None, context_size: int, batch_size: int, num_sites: int | None = None
) -> None:
    """Refuse a context that a network of `context_size` cannot use.

    Args:
        context: what came.
        context_size: 0 if the network takes none.
        batch_size: of the values.
        num_sites: T, if each site has a context of its own; None if they share one.

    Raises:
        ShapeError: its shape is another, it is missing, or there should be none.
    """
    if context_size == 0:
        if context is not None:
            raise ShapeError(
                f"expected no context, got one of shape {list(context.shape)}",
                hint="this model was built without a context",
            )
        return
    sites = [] if num_sites is None else [num_sites]
    expected = [batch_size, *sites, context_size]
    if context is None:
        raise ShapeError(
            f"expected a context of shape {expected}, got none",
            hint="this model is conditional: say what on",
        )
    if list(context.shape) != expected:
        raise ShapeError(f"expected a context of shape {expected}, got {list(context.shape)}")
