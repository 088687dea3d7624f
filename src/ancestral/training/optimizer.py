"""AdamW as one fused call."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["AdamW"]

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8


class AdamW:
    r"""Adam with decoupled weight decay, by torch's fused kernel.

    The same arithmetic as `torch.optim.AdamW(fused=True)`, to the bit, without the bookkeeping
    around it, which costs as much as the update itself where models are small.

    Args:
        parameters: whose gradients are followed.
        weight_decay: for each step, times the learning rate.

    References:
        | Adam (Kingma & Ba, 2015), algorithm 1; Decoupled Weight Decay Regularization
        | (Loshchilov & Hutter, 2019), algorithm 2
    """

    def __init__(self, parameters: list[Tensor], weight_decay: float) -> None:
        self.parameters = parameters
        self.weight_decay = weight_decay
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]
        self.steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in parameters]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move the parameters that have a gradient."""
        chosen = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        gradients = [self.parameters[i].grad for i in chosen]
        steps = [self.steps[i] for i in chosen]
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            [self.parameters[i] for i in chosen],
            gradients,  # type: ignore[arg-type]
            [self.first[i] for i in chosen],
            [self.second[i] for i in chosen],
            [],
            steps,
            lr=learning_rate,
            beta1=_BETA1,
            beta2=_BETA2,
            weight_decay=self.weight_decay,
            eps=_EPS,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {
            f"{i}.{name}": tensors[i]
            for name, tensors in self._tensors().items()
            for i in range(len(self.parameters))
        }

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Undo `state`."""
        for name, tensors in self._tensors().items():
            for i, tensor in enumerate(tensors):
                tensor.copy_(state[f"{i}.{name}"])

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {"first": self.first, "second": self.second, "steps": self.steps}
