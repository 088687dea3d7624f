"""Baselines that are learnt: NVIL's networks, and its normalisation of the signal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ancestral.inference.bounds import Bound
from ancestral.inference.gradients.control_variates import (
    RunningMean,
    Signal,
    check_num_layers,
)

__all__ = ["InputDependent", "VarianceNormalization"]


class InputDependent(nn.Module):
    r"""A network's prediction of the signal, C(x), beside a running mean c.

    The networks are trained along, by least squares on the signal less c. With signals of their
    own (`LayerSignals`), each layer has a network, and the network of layer l > 1 reads z_{l-1}.

    Args:
        inputs: (x, observed) -> features, such as `networks.InputFeatures`, of its own.
        networks: features -> [..., 1], one; or one for each layer.
        decay: of the running mean.

    References:
        | Neural Variational Inference and Learning in Belief Networks (Mnih & Gregor, 2014),
        | equations 6 and 7, section 3.3
    """

    def __init__(
        self, inputs: nn.Module, networks: Sequence[nn.Module], decay: float = 0.8
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.networks = nn.ModuleList(networks)
        self.running = RunningMean(decay, len(self.networks))

    def check(self, bound: Bound, num_signals: int) -> None:
        """Every bound will do; each signal needs a network."""
        del bound
        check_num_layers("InputDependent", len(self.networks), num_signals)

    def baseline(self, signal: Signal) -> Tensor:
        """[layers, samples or 1, batch], with gradient to the networks."""
        batch = signal.batch
        shape = signal.value.shape[1:]
        predictions = []
        for network, below in zip(self.networks, signal.below, strict=True):
            given = self.inputs(batch.x, batch.observed) if below is None else below
            predictions.append(network(given).squeeze(-1).expand(shape))
        return torch.stack(predictions) + self.running.baseline(signal)

    def after(self, signal: Signal) -> None:
        """Move the running mean."""
        self.running.after(signal)


class VarianceNormalization(nn.Module):
    r"""Divide the centred signal by max(1, its running standard deviation).

    It makes one learning rate fit signals of any size, as NVIL does. The gradient of q is then a
    multiple of the bound's, one factor for each layer: it is no longer its unbiased estimate.

    Args:
        decay: of the running variance.
        num_layers: signals; 1, unless layers have their own.

    References:
        | Neural Variational Inference and Learning in Belief Networks (Mnih & Gregor, 2014),
        | section 3.2 and algorithm 1
    """

    variance: Tensor
    num_steps: Tensor

    def __init__(self, decay: float = 0.8, num_layers: int = 1) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("variance", torch.zeros(num_layers, 1, 1))
        self.register_buffer("num_steps", torch.zeros(()))

    def check(self, num_signals: int) -> None:
        """Each signal needs a variance."""
        check_num_layers("VarianceNormalization", len(self.variance), num_signals)

    @torch.no_grad()
    def forward(self, centred: Tensor) -> Tensor:
        """[layers, samples, batch] -> the same shape."""
        seen = centred.square().mean((1, 2), keepdim=True)
        seen = seen - centred.mean((1, 2), keepdim=True).square()
        decay = torch.where(self.num_steps > 0, self.decay, 0.0)
        updated = decay * self.variance + (1 - decay) * seen.to(self.variance.dtype)
        self.variance.copy_(updated)
        self.num_steps.add_(1)
        return centred / updated.sqrt().clamp_min(1).to(centred.dtype)
