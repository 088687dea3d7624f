"""Control variates of the score-function estimator: what is subtracted from its signal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.bounds import Bound, Elbo

__all__ = [
    "ArithmeticMean",
    "ControlVariate",
    "GeometricMean",
    "LeaveOneOut",
    "NoControlVariate",
    "RunningMean",
    "Signal",
    "check_num_layers",
    "with_each_imputed",
]


class Signal(NamedTuple):
    """What the draws of one batch have to say, detached.

    Attributes:
        value: [layers, samples, batch], what multiplies each sample's score, in nats: its own
            log-weight for the ELBO, the bound for others. One layer, unless layers have signals
            of their own.
        log_w: [samples, batch].
        bound: which bound of them.
        batch: the data.
        below: what each layer is given: None for the first (x is), then z_1, ...,
            [samples, batch, L_l].
    """

    value: Tensor
    log_w: Tensor
    bound: Bound
    batch: Batch
    below: tuple[Tensor | None, ...]


@runtime_checkable
class ControlVariate(Protocol):
    """A number for each sample that must not depend on this very sample of z.

    One that learns or remembers is a module; its state is then trained, saved and resumed with
    all else.
    """

    def check(self, bound: Bound, num_signals: int) -> None:
        """Refuse bounds it is not made for, and other numbers of layers with a signal."""
        ...

    def baseline(self, signal: Signal) -> Tensor:
        """Broadcast against `signal.value`; it may carry gradient to its own parameters."""
        ...

    def after(self, signal: Signal) -> None:
        """Remember what this step saw, for the next one."""
        ...


@dataclass(frozen=True)
class NoControlVariate:
    """Plain REINFORCE (Williams, 1992)."""

    def check(self, bound: Bound, num_signals: int) -> None:
        """Every bound will do."""

    def baseline(self, signal: Signal) -> Tensor:
        """Nothing."""
        return torch.zeros_like(signal.value[:, :1, :1])

    def after(self, signal: Signal) -> None:
        """Nothing to remember."""


class RunningMean(nn.Module):
    """The signal's moving average over earlier steps.

    In the first step there is none: each row is then given the mean of the others' signals, of
    which its own draws know nothing.

    Args:
        decay: of the average, in [0, 1).
        num_layers: signals; 1, unless layers have their own.

    References:
        | Simple Statistical Gradient-Following Algorithms (Williams, 1992), section 5
    """

    mean: Tensor
    num_steps: Tensor

    def __init__(self, decay: float = 0.9, num_layers: int = 1) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(num_layers, 1, 1))
        self.register_buffer("num_steps", torch.zeros(()))

    def check(self, bound: Bound, num_signals: int) -> None:
        """Every bound will do; each signal needs a mean."""
        del bound
        check_num_layers("RunningMean", len(self.mean), num_signals)

    def baseline(self, signal: Signal) -> Tensor:
        """[layers, 1, batch]."""
        per_row = signal.value.mean(1, keepdim=True)
        num_rows = per_row.shape[-1]
        others = (per_row.sum(-1, keepdim=True) - per_row) / max(num_rows - 1, 1)
        return torch.where(self.num_steps > 0, self.mean.to(per_row.dtype), others)

    @torch.no_grad()
    def after(self, signal: Signal) -> None:
        """Take in the mean over samples and rows."""
        seen = signal.value.mean((1, 2), keepdim=True).to(self.mean.dtype)
        decay = torch.where(self.num_steps > 0, self.decay, 0.0)
        self.mean.copy_(decay * self.mean + (1 - decay) * seen)
        self.num_steps.add_(1)


class Imputation(Protocol):
    """A stand-in for log w_k, made of the other K - 1."""

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, ...] -> the same shape."""
        ...


@dataclass(frozen=True)
class GeometricMean:
    """The mean of the others' log-weights (Mnih & Rezende, 2016, equation 10)."""

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, ...] -> the same shape."""
        return (log_w.sum(0) - log_w) / (len(log_w) - 1)


@dataclass(frozen=True)
class ArithmeticMean:
    """The log of the mean of the others' weights."""

    def __call__(self, log_w: Tensor) -> Tensor:
        """[samples, ...] -> the same shape."""
        num_samples = len(log_w)
        own = torch.eye(num_samples, dtype=torch.bool, device=log_w.device)
        own = own.reshape(num_samples, num_samples, *[1] * (log_w.ndim - 1))
        others = log_w.unsqueeze(1).masked_fill(own, -torch.inf)
        return others.logsumexp(0) - torch.log(log_w.new_tensor(num_samples - 1.0))


@dataclass(frozen=True)
class LeaveOneOut:
    """What the bound would be if sample k were like the other K - 1: their mean takes its place.

    For the ELBO that is the mean of the other samples' log-weights (Kool et al., 2019); for the
    importance-weighted bound it is VIMCO's baseline (Mnih & Rezende, 2016), for the other bounds
    its counterpart.

    Args:
        imputed: what takes the place of log w_k, where the bound is not the ELBO.

    References:
        | Buy 4 REINFORCE Samples, Get a Baseline for Free! (Kool et al., 2019), equation 8
    """

    imputed: Imputation = field(default_factory=GeometricMean)

    def check(self, bound: Bound, num_signals: int) -> None:
        """Refuse a single sample."""
        del num_signals
        if bound.num_samples < 2:
            raise IncompatibleChoices(
                f"LeaveOneOut compares each sample with the others, got a single one in {bound}",
                hint="take num_samples = 2 or more, or RunningMean()",
            )

    def baseline(self, signal: Signal) -> Tensor:
        """[layers, samples, batch]."""
        if isinstance(signal.bound, Elbo):
            value = signal.value
            return (value.sum(1, keepdim=True) - value) / (value.shape[1] - 1)
        imputed = self.imputed(signal.log_w)
        return with_each_imputed(signal.bound, signal.log_w, imputed).unsqueeze(0)

    def after(self, signal: Signal) -> None:
        """Nothing to remember."""


def check_num_layers(name: str, num_layers: int, num_signals: int) -> None:
    """Refuse what is kept for each layer where there are more or fewer signals."""
    if num_layers != num_signals:
        raise IncompatibleChoices(
            f"expected {name} for {num_signals} layers' signals, got one for {num_layers}",
            hint="signals=LayerSignals() has a signal for each layer of z, WholeSignal() a single "
            "one for all",
        )


def with_each_imputed(bound: Bound, log_w: Tensor, imputed: Tensor) -> Tensor:
    """Row k is the bound with imputed[k] for log_w[k]: [samples, batch]."""
    num_samples, num_rows = log_w.shape
    own = torch.eye(num_samples, dtype=torch.bool, device=log_w.device).unsqueeze(-1)
    replaced = torch.where(own, imputed.unsqueeze(1), log_w.unsqueeze(1))  # [j, k, batch]
    return bound(replaced.flatten(1)).reshape(num_samples, num_rows)
