"""The same weights under another order of the sites."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor

from ancestral.networks.causal.network import CausalNetwork, checked_order

__all__ = ["reordered"]

Network = TypeVar("Network", bound=CausalNetwork)


def reordered(network: Network, order: Sequence[int] | Tensor) -> Network:
    """A view of a network whose `order` is another, and all of whose weights are the same tensors.

    Training the one trains the other. It serves networks that read their order when they run;
    one that has made masks of it must make them anew.

    Args:
        network: whose weights suit any order.
        order: [T], site of each step.

    Raises:
        OptionError: it is no permutation of the sites.
    """
    new = checked_order(order, network.num_sites).to(network.order.device)
    view = copy.copy(network)
    # a shallow copy shares its table of buffers too, and one of them is to differ
    view._buffers = dict(network._buffers)
    view._set_order(new)
    return view
