"""`UnitOnce`: the steps of a masked network, in which each unit is computed once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ancestral.core.native_draw import NativeDraw
from ancestral.core.pytrees import Shared
from ancestral.networks.causal.degrees import Wiring
from ancestral.networks.causal.native_unit_once import NativeInputs, NativeSteps

__all__ = ["Activations", "UnitOnce", "Weights"]

PAD = 16  # rows of weights and parts of a state are a multiple of so many numbers


@dataclass(frozen=True)
class Weights:
    """What a network is made of, masked; units as the network numbers them.

    Args:
        hidden: weights of each hidden layer, [to, from].
        biases: of each hidden layer, with the context's share, [batch, H_l].
        output: [F, H_L].
        direct: [F, I].
        features: bias of the features, with the context's share, [batch, T, P].
    """

    hidden: list[Tensor]
    biases: list[Tensor]
    output: Tensor
    direct: Tensor
    features: Tensor


@dataclass
class Activations:
    """Everything that is known after a step, in one tensor, and how to go on from it.

    Args:
        values: [batch, S]: inputs, then each hidden layer, then features, all in the order of
            the steps; what is not computed yet holds its bias.
        plan: shared by all rows.
    """

    values: Tensor
    plan: Shared[UnitOnce]


class UnitOnce:
    r"""Weights in the order of the steps, so that a step reads one block of rows of each layer.

    A unit of degree m is final as soon as the first m sites are known, and feeds only units and
    features that come at the same step or later. With units sorted by degree every mask is a
    staircase: step t computes the rows of degree t of each layer, from columns of degree t at
    most. All steps together take as many multiplications as the masks have ones.

    Where there is a compiler a step on the CPU is one call of native code, else a few operations
    of torch.

    Args:
        wiring: degrees of all units.
        weights: masked.
        input_sizes: encoded numbers of each site.
        feature_sizes: features of each site.
        activation: of the hidden layers.

    References:
        | Germain et al. (2015), section 7, name sampling as MADE's weakness: one pass for each
        | site. It need not be so.
    """

    def __init__(
        self,
        wiring: Wiring,
        weights: Weights,
        input_sizes: list[int],
        feature_sizes: list[int],
        activation: nn.Module,
    ) -> None:
        order = wiring.order
        num_sites = len(order)
        steps = torch.arange(num_sites + 1)
        self.sites: list[int] = order.tolist()
        self.activation = activation
        self.num_features = weights.features.shape[-1]
        self.sizes = [input_sizes[site] for site in self.sites]
        # stable: numbers of one site stay in their order
        inputs = wiring.inputs.argsort(stable=True)
        units = [degrees.argsort(stable=True) for degrees in wiring.hidden]
        outputs = wiring.outputs.argsort(stable=True)
        sources = [inputs, *units]
        self.hidden = [
            _sorted(weight, to, source)
            for weight, to, source in zip(weights.hidden, units, sources, strict=False)
        ]
        self.output = _sorted(weights.output, outputs, units[-1])
        self.direct = _sorted(weights.direct, outputs, inputs)
        # how many inputs, and units of each layer, have degree t at most
        self.ends = [
            torch.searchsorted(degrees.sort().values, steps, right=True)
            for degrees in (wiring.inputs, *wiring.hidden)
        ]
        features = torch.tensor([0, *(feature_sizes[site] for site in self.sites)])
        self.feature_ends = features.cumsum(0)
        widths = [_padded(len(source)) for source in sources]
        self.offsets = torch.tensor([0, *widths]).cumsum(0).tolist()
        self._ends: list[list[int]] = [ends.tolist() for ends in self.ends]
        self._feature_ends: list[int] = self.feature_ends.tolist()
        start = [weights.features.new_zeros(len(weights.features), widths[0])]
        for bias, unit, width in zip(weights.biases, units, widths[1:], strict=True):
            start.append(nn.functional.pad(bias[:, unit.to(bias.device)], (0, width - len(unit))))
        start.append(weights.features[:, order.to(weights.features.device)].flatten(1))
        self._start = start
        self._native = NativeSteps.of(self) if isinstance(activation, nn.ReLU) else None

    def start(self) -> Activations:
        """Before the first step."""
        values, self._start = torch.cat(self._start, 1), []
        return Activations(values.detach(), Shared(self))

    def step(self, state: Activations, t: int, encoded: Tensor | None) -> Tensor:
        """Take the encoded value of the site before, give the features of this one.

        Args:
            state: is overwritten.
            t: number of the step.
            encoded: [batch, E]; None at t = 0.

        Returns:
            [batch, P], a view of the state.
        """
        values = state.values
        first = self.offsets[-1] + t * self.num_features
        if self._native is not None:
            self._native.step(values, t, encoded)
        else:
            self._step(values, t, encoded)
        return values[:, first : first + self.num_features]

    def generate(self, draw: NativeDraw, uniforms: Tensor, inputs: NativeInputs) -> Tensor | None:
        """All sites by one native kernel, [batch, T, 1]; None where there is none.

        Args:
            draw: of any site.
            uniforms: [batch, T, numbers], as stored.
            inputs: how values enter.
        """
        if self._native is None:
            return None
        return self._native.generate(self.start().values, draw, uniforms, inputs)

    def _step(self, values: Tensor, t: int, encoded: Tensor | None) -> None:
        known, *ends = (ends[t] for ends in self._ends)
        if encoded is not None:
            size = self.sizes[t - 1]
            values[:, known - size : known] = encoded[:, :size]
        inputs = values[:, :known]
        source = inputs
        for number, end in enumerate(ends):
            offset, start = self.offsets[number + 1], 0
            if t:
                start = self._ends[number + 1][t - 1]
            if end > start:
                units = values[:, offset + start : offset + end]
                weight = self.hidden[number][start:end, : source.shape[1]]
                units.copy_(self.activation(torch.addmm(units, source, weight.T)))
            source = values[:, offset : offset + end]
        start, end = self._feature_ends[t : t + 2]
        first = self.offsets[-1] + t * self.num_features
        features = values[:, first : first + end - start]
        features.addmm_(source, self.output[start:end, : source.shape[1]].T)
        features.addmm_(inputs, self.direct[start:end, :known].T)


def _padded(size: int) -> int:
    return -(-size // PAD) * PAD


def _sorted(weight: Tensor, to: Tensor, source: Tensor) -> Tensor:
    """Rows and columns in the order of the steps, each row padded with zeros."""
    weight = weight.detach()
    for axis, index in enumerate((to, source)):
        if not torch.equal(index, torch.arange(len(index))):
            weight = weight.index_select(axis, index.to(weight.device))
    return nn.functional.pad(weight, (0, _padded(len(source)) - len(source)))
