"""`MaskedDense`: MADE, a dense network whose masks make its outputs autoregressive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core.errors import OptionError
from ancestral.core.native_draw import NativeDraw
from ancestral.networks.causal.degrees import KeptMasks, Wiring, hidden_degrees
from ancestral.networks.causal.encodings import OneHot, Plain, SiteEncoding, Standardized
from ancestral.networks.causal.native_unit_once import NativeInputs
from ancestral.networks.causal.network import CausalNetwork, check_context, checked_order
from ancestral.networks.causal.reordering import reordered
from ancestral.networks.causal.unit_once import Activations, UnitOnce, Weights

__all__ = ["MaskedDense"]


class MaskedDense(CausalNetwork):
    r"""h_l = s(b_l + (W_l * M_l) h_{l-1} + U_l c); features are linear in h_L, x and c.

    A unit of degree m depends on the first m sites in order alone: M_l lets it look at units of
    no higher degree, and the features of the site of step t look at those of degree t at most.
    Features also see the earlier sites directly, so that `LinearCausal` is a special case.

    Under several orders, which sites a unit sees tells it something too: its bias gets a term
    for each of them, :math:`b_l + (V_l * M_l) 1` (equation 14), in the layers that look at sites.

    A step computes each unit once, when its degree is reached (`UnitOnce`), so that a sample
    takes the arithmetic of a pass, where one pass for each site would take T of them.

    Args:
        num_sites: T.
        num_features: P; or those of each site, where they differ: then there are weights for
            these alone, and features are padded with zeros to the most of any site.
        encoding: of the values.
        hidden_sizes: units of each hidden layer, at least 2.
        activation: makes the module s.
        dropout: probability with which a hidden unit is dropped while training.
        input_dropout: the same for the encoded values.
        context_size: of the context; 0 for none. It enters every layer.
        orders: [M, T], orders of the sites; None: as stored. The network stands under the first;
            if there are several, `with_order` gives it under any order at all.
        num_connectivities: order number i of `orders` goes with connectivity i modulo this
            number: which hidden unit has which degree.

    Raises:
        OptionError: a layer has fewer than 2 units, or an order is no permutation.

    References:
        | MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015), equations
        | 8 to 13, sections 4.1 to 4.3; https://arxiv.org/abs/1502.03509
    """

    orders: Tensor
    _input_index: Tensor
    _output_index: Tensor

    def __init__(
        self,
        num_sites: int,
        num_features: int | Sequence[int],
        encoding: SiteEncoding,
        *,
        hidden_sizes: Sequence[int],
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        context_size: int = 0,
        orders: Sequence[Sequence[int]] | Tensor | None = None,
        num_connectivities: int = 1,
    ) -> None:
        features = _for_each_site(num_features, num_sites)
        known = [checked_order(o, num_sites) for o in ([None] if orders is None else orders)]
        super().__init__(num_sites, max(features), context_size=context_size, order=known[0])
        if not hidden_sizes:
            raise OptionError("expected at least 1 hidden layer, got none")
        if num_connectivities < 1:
            raise OptionError(f"expected at least 1 connectivity, got {num_connectivities}")
        self.encoding = encoding
        self.hidden_sizes = tuple(hidden_sizes)
        self.num_connectivities = num_connectivities
        self.input_sizes = [encoding.size_of(site) for site in range(num_sites)]
        self.feature_sizes = features
        self._kept_masks = KeptMasks()
        self._wirings = self._wired_all(known)
        self.wiring = self._wiring_of(known[0])
        if num_connectivities > 1:
            # with the weights, since the place of an order says which connectivity is its own
            self.register_buffer("orders", torch.stack(known))
        used = _used(self.input_sizes, encoding.size)
        self.register_buffer("_input_index", used, persistent=False)
        used = _used(features, self.num_features)
        self.register_buffer("_output_index", used, persistent=False)
        sizes = [sum(self.input_sizes), *self.hidden_sizes, sum(features)]
        masks = self.wiring.masks(torch.zeros(()))[: len(self.hidden_sizes)]
        self.weights = nn.ParameterList(_scaled_normal(mask) for mask in masks)
        # features start at their bias, which the model sets to the training frequencies: random
        # ones would have to be unlearnt, for which small data sets have too few rows
        self.output = nn.Parameter(torch.zeros(sizes[-1], sizes[-2]))
        self.direct = nn.Parameter(torch.zeros(sizes[-1], sizes[0]))
        self.biases = nn.ParameterList(torch.zeros(size) for size in self.hidden_sizes)
        # of each site that a unit sees, whatever its value
        self.seen = nn.ParameterList(
            torch.zeros(size, num_sites) for size in (sizes[1], sizes[-1]) if len(known) > 1
        )
        self.output_bias = nn.Parameter(torch.zeros(num_sites, self.num_features))
        self.contexts = nn.ModuleList(
            nn.Linear(context_size, size, bias=False) for size in sizes[1:] if context_size
        )
        self.activation = activation()
        self.dropout = nn.Dropout(dropout)
        self.input_dropout = nn.Dropout(input_dropout)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """One pass; each weight matrix is masked once."""
        check_context(context, self.context_size, len(x))
        inputs = self.input_dropout(self._encoded(x))
        *weights, last, direct = self._masked()
        *biases, output_bias = self._all_biases()
        h = self._hidden(inputs, weights, biases, context)
        flat = F.linear(h, last, output_bias) + F.linear(inputs, direct)
        return self._padded(self._with_context(flat, -1, context))

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The last hidden layer, [batch, H]."""
        check_context(context, self.context_size, len(x))
        weights, biases = self._masked()[:-2], self._all_biases()[:-1]
        return self._hidden(self._encoded(x), weights, biases, context)

    def _hidden(
        self, inputs: Tensor, weights: list[Tensor], biases: list[Tensor], context: Tensor | None
    ) -> Tensor:
        h = inputs
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            h = F.linear(h, weight, bias)
            h = self.dropout(self.activation(self._with_context(h, number, context)))
        return h

    @property
    def step_products(self) -> int:
        """A sample takes as many as a pass."""
        return super().step_products // self.num_sites

    def init_state(self, batch_size: int, context: Tensor | None = None) -> Activations:
        """Biases and context of every unit."""
        return self._plan(batch_size, context).start()

    def generate(
        self, draw: NativeDraw, uniforms: Tensor, context: Tensor | None = None
    ) -> Tensor | None:
        """All steps and all draws in one kernel, where there is a compiler."""
        encoding = self.encoding
        if isinstance(encoding, Standardized):
            inputs = NativeInputs(encoding.loc.flatten(), encoding.scale.flatten())
        elif isinstance(encoding, Plain | OneHot):
            ones = torch.ones(self.num_sites)
            inputs = NativeInputs(0 * ones, ones)
        else:
            return None
        with torch.no_grad():
            return self._plan(len(uniforms), context).generate(draw, uniforms, inputs)

    def step(self, state: Activations, t: int, prev: Tensor | None) -> tuple[Tensor, Activations]:
        """Compute the units whose degree is t, and the features of the site."""
        encoded = None
        if prev is not None:
            encoded = self.encoding.at(prev, state.plan.value.sites[t - 1])
        return state.plan.value.step(state, t, encoded), state

    def with_order(self, order: Sequence[int] | Tensor) -> MaskedDense:
        """A view of the same weights under another order.

        Raises:
            IncompatibleChoices: the network was made for one order.
        """
        new = checked_order(order, self.num_sites)
        if tuple(new.tolist()) not in self._wirings and len(self._wirings) == 1:
            super().with_order(new)
        view = reordered(self, new)
        view.wiring = self._wiring_of(new)
        return view

    def _plan(self, batch_size: int, context: Tensor | None) -> UnitOnce:
        check_context(context, self.context_size, batch_size)
        *hidden, last, direct = self._masked()
        *biases, features = (
            self._with_context(bias.expand(batch_size, -1), number, context)
            for number, bias in enumerate(self._all_biases())
        )
        weights = Weights(hidden, biases, last, direct, self._padded(features))
        return UnitOnce(
            self.wiring, weights, self.input_sizes, self.feature_sizes, self.activation
        )

    def _masked(self) -> list[Tensor]:
        """W * M of each hidden layer, the output layer, and the direct connections."""
        weights = [*self.weights, self.output, self.direct]
        masks = self.wiring.masks(self.direct)
        return [weight * mask for weight, mask in zip(weights, masks, strict=True)]

    def _encoded(self, x: Tensor) -> Tensor:
        flat = self.encoding(x).flatten(1)
        if len(self._input_index) == flat.shape[1]:
            return flat
        return flat.index_select(1, self._input_index)

    def _all_biases(self) -> list[Tensor]:
        """Of each hidden layer, and of the features, [F]."""
        flat = self.output_bias.flatten()
        biases = [
            *self.biases,
            flat if len(self._output_index) == len(flat) else flat[self._output_index],
        ]
        if len(self.seen):
            masks = self.wiring.site_masks(self.direct)
            for place, seen, mask in zip((0, -1), self.seen, masks, strict=True):
                biases[place] = biases[place] + (seen * mask).sum(1)
        return biases

    def _padded(self, flat: Tensor) -> Tensor:
        """[batch, F] -> [batch, T, P]."""
        shape = self.output_bias.shape
        if flat.shape[1] < shape.numel():
            padded = flat.new_zeros(len(flat), shape.numel())
            flat = padded.index_copy(1, self._output_index, flat)
        return flat.unflatten(1, shape)

    def _with_context(self, h: Tensor, number: int, context: Tensor | None) -> Tensor:
        return h if context is None else h + self.contexts[number](context)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Weights of several orders bring theirs, and which connectivity goes with each."""
        order, orders = (state_dict.get(f"{prefix}{name}") for name in ("order", "orders"))
        if len(self._wirings) > 1 and order is not None and len(order) == self.num_sites:
            if orders is not None and "orders" in self._buffers:
                self._wirings = self._wired_all([checked_order(o, len(order)) for o in orders])
                self.register_buffer("orders", orders.to(self.device))
            self._set_order(order.to(self.device))
            self.wiring = self._wiring_of(checked_order(order, len(order)))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _wired_all(self, orders: Sequence[Tensor]) -> dict[tuple[int, ...], Wiring]:
        """By order; one that comes twice has its first connectivity."""
        return {
            tuple(order.tolist()): self._wired(order, number % self.num_connectivities)
            for number, order in reversed(list(enumerate(orders)))
        }

    def _wiring_of(self, order: Tensor) -> Wiring:
        return self._wirings.get(tuple(order.tolist())) or self._wired(order, 0)

    def _wired(self, order: Tensor, connectivity: int) -> Wiring:
        lowest = 0 if self.context_size else 1
        hidden = [
            hidden_degrees(size, self.num_sites, lowest, connectivity)
            for size in self.hidden_sizes
        ]
        inputs, outputs = _owners(self.input_sizes), _owners(self.feature_sizes)
        return Wiring(order, inputs, hidden, outputs, self._kept_masks)


def _for_each_site(num_features: int | Sequence[int], num_sites: int) -> list[int]:
    if isinstance(num_features, int):
        return [num_features] * num_sites
    if len(num_features) != num_sites:
        raise OptionError(f"expected features of {num_sites} sites, got {len(num_features)}")
    return list(num_features)


def _owners(sizes: list[int]) -> Tensor:
    """The site that each number belongs to."""
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))


def _used(sizes: list[int], most: int) -> Tensor:
    """Places of the numbers that are no padding, where each site has `most` places."""
    return torch.cat([site * most + torch.arange(size) for site, size in enumerate(sizes)])


def _scaled_normal(mask: Tensor) -> nn.Parameter:
    """Normal weights of variance 2 over the number of inputs that the mask leaves a unit.

    He et al. (2015), Delving deep into rectifiers, equation 10.
    """
    fan_in = mask.sum(1, keepdim=True).clamp_min(1)
    return nn.Parameter(torch.randn(mask.shape) * (2 / fan_in).sqrt())
