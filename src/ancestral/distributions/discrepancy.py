"""Distances between two samples: maximum mean discrepancy, and sliced Wasserstein."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core.errors import OptionError, ShapeError

__all__ = [
    "Discrepancy",
    "GaussianKernel",
    "InverseMultiquadratic",
    "Kernel",
    "MaximumMeanDiscrepancy",
    "SlicedWasserstein",
    "mmd_squared",
    "sliced_wasserstein_squared",
    "squared_distances",
]


class Kernel(Protocol):
    """A positive definite function of the squared distance."""

    def __call__(self, squared_distance: Tensor, num_dims: int) -> Tensor:
        """k(x, y) from |x - y|^2, elementwise; `num_dims` is that of x."""
        ...


@runtime_checkable
class Discrepancy(Protocol):
    """How far two samples are apart: [m, D], [m, D] -> [].

    For two samples of the same law the expectation is 0 (`MaximumMeanDiscrepancy`, unbiased), or
    goes to 0 as m grows (`SlicedWasserstein`, which is never negative).
    """

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance, differentiable by both samples."""
        ...


@dataclass(frozen=True)
class GaussianKernel:
    r"""Mean over scales s of :math:`\exp(-|x - y|^2 / (2 s^2))`.

    Args:
        scales: in the units of x; several of them see differences of several sizes.

    Example:
        >>> GaussianKernel((1.0,))(torch.tensor([0.0, 2.0]), 1)
        tensor([1.0000, 0.3679])
    """

    scales: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_scales(self.scales)

    def __call__(self, squared_distance: Tensor, num_dims: int) -> Tensor:
        """Elementwise; at most 1."""
        del num_dims
        first, *rest = [(squared_distance * (-0.5 / s**2)).exp() for s in self.scales]
        return sum(rest, first) / len(self.scales)


@dataclass(frozen=True)
class InverseMultiquadratic:
    r"""Mean over scales s of :math:`C / (C + |x - y|^2)` with :math:`C = 2 D s`.

    2 D is the mean squared distance of two draws from N(0, I) in D dimensions. Its tails are
    heavy: codes far from the prior still feel where it is.

    Args:
        scales: factors of the prior's 2 D.

    References:
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), section 4; the seven scales are
        | those of the authors' program
    """

    scales: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

    def __post_init__(self) -> None:
        _check_scales(self.scales)

    def __call__(self, squared_distance: Tensor, num_dims: int) -> Tensor:
        """Elementwise; at most 1."""
        first, *rest = [_multiquadratic(squared_distance, 2 * num_dims * s) for s in self.scales]
        return sum(rest, first) / len(self.scales)


@dataclass(frozen=True)
class MaximumMeanDiscrepancy:
    """`mmd_squared` with a kernel, as a choice.

    Args:
        kernel: of the squared distance.
    """

    kernel: Kernel = field(default_factory=InverseMultiquadratic)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Unbiased MMD^2; it may be negative."""
        return mmd_squared(x, y, self.kernel)


@dataclass(frozen=True)
class SlicedWasserstein:
    """`sliced_wasserstein_squared` along random directions, as a choice.

    Args:
        num_directions: drawn anew at each call.
    """

    num_directions: int = 64

    def __post_init__(self) -> None:
        if self.num_directions < 1:
            raise OptionError(f"expected at least 1 direction, got {self.num_directions}")

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Squared distance, averaged over directions."""
        directions = torch.randn(self.num_directions, x.shape[-1], dtype=x.dtype, device=x.device)
        return sliced_wasserstein_squared(x, y, F.normalize(directions, dim=-1))


def mmd_squared(x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    r"""Unbiased estimate of the squared maximum mean discrepancy of two distributions.

    .. math:: \frac{1}{m (m - 1)} \sum_{i \ne j} k(x_i, x_j)
              + \frac{1}{n (n - 1)} \sum_{i \ne j} k(y_i, y_j)
              - \frac{2}{m n} \sum_{i, j} k(x_i, y_j)

    Its mean is zero where the two agree, so that it is often negative there.

    Args:
        x: [m, D], m >= 2.
        y: [n, D], n >= 2.
        kernel: of the squared distance.

    Returns:
        [], without a unit.

    Cost:
        (m + n)^2 distances.

    Raises:
        ShapeError: a sample has fewer than 2 rows, or rows of other sizes.

    Example:
        >>> x = torch.tensor([[0.0], [1.0]])
        >>> mmd_squared(x, x + 10, GaussianKernel((1.0,)))
        tensor(1.2131)

    References:
        | A Kernel Two-Sample Test (Gretton et al., 2012), equation 3
    """
    _check_samples(x, y)
    num_dims = x.shape[-1]
    both = torch.cat((x, y))
    similarity = kernel(squared_distances(both, both), num_dims)
    m, n = len(x), len(y)
    within_x, within_y = similarity[:m, :m], similarity[m:, m:]
    return (
        (within_x.sum() - within_x.diagonal().sum()) / (m * (m - 1))
        + (within_y.sum() - within_y.diagonal().sum()) / (n * (n - 1))
        - 2 * similarity[:m, m:].mean()
    )


def sliced_wasserstein_squared(x: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    r"""Mean over directions of the squared 2-Wasserstein distance of the projected samples.

    On a line the optimal transport between samples of one size is between their sorted values.

    Args:
        x: [m, D].
        y: [m, D].
        directions: [P, D], of length 1.

    Returns:
        [], in squared units of x.

    Raises:
        ShapeError: samples of different sizes.

    Example:
        >>> x = torch.tensor([[0.0], [3.0]])
        >>> sliced_wasserstein_squared(x, x.flip(0) + 2, torch.ones(1, 1))
        tensor(4.)

    References:
        | Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., 2015), section 3
        | Sliced Wasserstein Auto-Encoders (Kolouri et al., 2019), equation 15
    """
    if x.shape != y.shape:
        raise ShapeError(
            f"expected two samples of one size, got {list(x.shape)} and {list(y.shape)}"
        )
    along_x = (x @ directions.mT).sort(0).values
    along_y = (y @ directions.mT).sort(0).values
    return (along_x - along_y).square().mean()


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|^2, [m, n] from [m, D] and [n, D], by one matrix product."""
    centre = y.detach().mean(0)  # digits are lost where both are far from zero
    x, y = x - centre, y - centre
    squares = x.square().sum(-1).unsqueeze(1) + y.square().sum(-1)
    return torch.addmm(squares, x, y.mT, alpha=-2).clamp_min(0)


def _multiquadratic(squared_distance: Tensor, constant: float) -> Tensor:
    return (squared_distance / constant + 1).reciprocal()


def _check_scales(scales: tuple[float, ...]) -> None:
    if not scales or not all(0 < scale < float("inf") for scale in scales):
        raise OptionError(f"expected scales greater than 0, got {scales}")


def _check_samples(x: Tensor, y: Tensor) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ShapeError(
            "expected two samples of at least 2 rows and as many columns, got "
            f"{list(x.shape)} and {list(y.shape)}"
        )
