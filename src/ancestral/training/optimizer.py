"""AdamW as one fused call."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["AdamW"]

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8


class AdamW:
    r"""Adam with decoupled weight decay, by torch's fused kernel.

    The same arithmetic as `torch.optim.AdamW(fused=True)`, to the bit, without the bookkeeping
    around it, which costs as much as the update itself where models are small.

    With clipping a gradient whose squared norm is not finite moves nothing: the step is left out,
    and counted. One overflow on the way back, where the loss itself is fine, would otherwise be
    the end of all weights. Without clipping nobody looks at the norm, which costs a fifth of the
    update.

    Args:
        parameters: whose gradients are followed.
        weight_decay: for each step, times the learning rate.

    Attributes:
        left_out: [], number of steps that moved nothing.
        left_out_in_a_row: [], the same since the last one that did.

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
        device = parameters[0].device if parameters else torch.device("cpu")
        self.left_out = torch.zeros((), dtype=torch.float32, device=device)
        self.left_out_in_a_row = torch.zeros_like(self.left_out)

    @property
    def counts_left_out(self) -> tuple[Tensor, Tensor]:
        """`left_out` and `left_out_in_a_row`, for a checkpoint."""
        return self.left_out, self.left_out_in_a_row

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float, clip_norm: float | None = None) -> None:
        """Move the parameters that have a gradient.

        Args:
            learning_rate: of this step.
            clip_norm: gradients of a larger norm are scaled down to it, and those that are not
                finite are left out; None for neither.
        """
        chosen = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        moved = [self.parameters[i] for i in chosen]
        steps = [self.steps[i] for i in chosen]
        bad = None if clip_norm is None else self._clipped(moved, clip_norm)
        torch._foreach_add_(steps, 1 if bad is None else 1 - bad)
        torch._fused_adamw_(
            moved,
            [p.grad for p in moved],  # type: ignore[arg-type]
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
            found_inf=bad,
        )

    def _clipped(self, moved: list[Tensor], clip_norm: float) -> Tensor:
        """1 if the gradient is not finite, else 0: on the device, since to ask would wait."""
        norm = nn.utils.clip_grad_norm_(moved, clip_norm)
        bad = (~norm.isfinite()).to(self.left_out.dtype)
        self.left_out += bad
        self.left_out_in_a_row.add_(1).mul_(bad)
        return bad

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
