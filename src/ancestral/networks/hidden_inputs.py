"""`HiddenInputs`: features of which more is missing while training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ancestral.core import OptionError

__all__ = ["HiddenInputs"]


class HiddenInputs(nn.Module):
    r"""inputs(x, observed and not hidden) while training, and inputs(x, observed) afterwards.

    A share of the cells is hidden, which is uniform on [0, `most`] for each row. As an encoder's
    inputs they make q(z | part of x_obs) inside whatever bound is trained, of all of x_obs. For
    each part that is a posterior like any other, so the bound stays one; only the encoder has to
    do with all patterns of gaps, rather than learn those of the training rows by heart.

    Args:
        inputs: (x, observed) -> features.
        num_axes: of x.
        most: share of the cells; 0 for none.

    Example:
        >>> from ancestral.core import Kind, Specification
        >>> from ancestral.networks import InputFeatures
        >>> spec = Specification(Kind.REAL, (100,), missing=True)
        >>> inputs = HiddenInputs(InputFeatures(spec), 1, 0.5)
        >>> seen = inputs(torch.ones(1, 100), torch.ones(1, 100, dtype=torch.bool))[0, 100:]
        >>> bool(seen.mean() < 1), bool((inputs.eval()(torch.ones(1, 100))[0, 100:] == 1).all())
        (True, True)
    """

    def __init__(self, inputs: nn.Module, num_axes: int, most: float) -> None:
        super().__init__()
        if not 0 <= most <= 1:
            raise OptionError(f"expected a share of hidden inputs from 0 to 1, got {most}")
        self.inputs = inputs
        self.num_axes = num_axes
        self.most = most

    def forward(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """[..., *x] -> [..., *features]."""
        if not self.training or self.most == 0:
            return self.inputs(x, observed)
        of_rows = (*x.shape[: x.ndim - self.num_axes], *[1] * self.num_axes)
        share = self.most * torch.rand(of_rows, dtype=x.dtype, device=x.device)
        kept = torch.rand_like(x) >= share
        return self.inputs(x, kept if observed is None else kept & observed)
