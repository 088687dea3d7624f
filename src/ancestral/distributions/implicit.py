"""Implicit reparameterisation: gradients through draws that have no formula."""

from __future__ import annotations

from torch import Tensor

__all__ = ["implicit"]


def implicit(x: Tensor, cdf: Tensor, log_density: Tensor) -> Tensor:
    r"""The draws x, with the gradient that a draw has which keeps its quantile.

    .. math:: \nabla_\phi x = -\frac{\nabla_\phi F(x; \phi)}{p(x; \phi)}

    Args:
        x: draws, one number each.
        cdf: F(x; phi) with a gradient to phi alone: x must be detached in it.
        log_density: log p(x; phi).

    Example:
        >>> import torch
        >>> rate = torch.tensor(2.0, requires_grad=True)
        >>> x = torch.tensor(0.7)
        >>> y = implicit(x, 1 - torch.exp(-rate * x), rate.log() - rate * x)
        >>> y.backward()
        >>> y.item(), rate.grad                                # dx/drate is -x / rate
        (0.69..., tensor(-0.3500))

    References:
        | Implicit Reparameterization Gradients (Figurnov et al., 2018), equation 6
    """
    return x.detach() - (cdf - cdf.detach()) * (-log_density.detach()).exp()
