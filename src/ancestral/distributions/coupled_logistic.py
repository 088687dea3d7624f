"""`CoupledLogistic`: the colours of a pixel, as a mixture of discretised logistics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core.errors import OptionError
from ancestral.distributions.cells import single
from ancestral.distributions.discretized_logistic import DiscretizedLogistic
from ancestral.distributions.scales import MIN_LOG_SCALE, log_scale_feature
from ancestral.distributions.sites import Site
from ancestral.distributions.support import check_support, codes
from ancestral.distributions.uniform_sites import UniformSites

__all__ = ["CoupledLogistic", "CoupledLogisticSites"]


@dataclass(frozen=True)
class CoupledLogistic(Site):
    r"""A mixture whose components see the colours in turn, each linear in those before.

    With y = 2 x / (K - 1) - 1 for a level x,

    .. math:: p(x) = \sum_m \pi_m \prod_c
        P\Big(x_c \,\Big|\, \mu_{mc} + \sum_{c' < c} \tanh(a_{mcc'}) y_{c'}, s_{mc}\Big)

    where P is the mass that `DiscretizedLogistic` gives to a level, exact at the edges and in
    the tails. A single mixture weight for all colours makes them dependent, too.

    Features `[..., (1 + 2 W + W (W - 1) / 2) M]`: for each of M components a logit, W
    locations, W log-scales, and the coefficients of colour 1 on 0, of 2 on 0, of 2 on 1, ...

    Args:
        num_levels: K >= 2.
        num_components: M >= 1.
        width: W, colours of a pixel; 1 for grey.
        min_log_scale: lower bound of log s, approached smoothly.

    Example:
        >>> site = CoupledLogistic(num_levels=4, num_components=2, width=3)
        >>> x = torch.cartesian_prod(*[torch.arange(4.0)] * 3)
        >>> site.log_prob(torch.randn(site.num_features), x).logsumexp(0).abs() < 1e-4
        tensor(True)

    References:
        | PixelCNN++ (Salimans et al., 2017), sections 2.1 and 2.2, equation 3
        | https://arxiv.org/abs/1701.05517
    """

    num_levels: int
    num_components: int = 10
    width: int = 3
    min_log_scale: float = MIN_LOG_SCALE

    def __post_init__(self) -> None:
        if self.num_levels < 2:
            raise OptionError(f"expected at least 2 levels, got {self.num_levels}")
        if self.num_components < 1:
            raise OptionError(f"expected at least 1 component, got {self.num_components}")

    @property
    def num_features(self) -> int:
        """Of a pixel."""
        return sum(self._sizes) * self.num_components

    @property
    def num_uniforms(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One for the component, then one for each colour."""
        return 1 + self.width

    @property
    def num_codes(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """K."""
        return self.num_levels

    def log_prob(self, features: Tensor, value: Tensor) -> Tensor:
        """Of all colours together, [...]."""
        parts = self._parts(features)
        return self._joint(parts, value).logsumexp(-1) - parts.logits.logsumexp(-1)

    def draw(self, features: Tensor, uniforms: Tensor) -> Tensor:
        """The level around the logistic's quantile, colour after colour, in one component."""
        parts = self._parts(features)
        below = parts.logits.softmax(-1).cumsum(-1)[..., :-1]
        parts = parts.picked((below < uniforms[..., :1]).sum(-1, keepdim=True))
        value = uniforms.new_empty(*uniforms.shape[:-1], 0)
        for c in range(self.width):
            level = self._cell.icdf(parts.given(value, c), uniforms[..., 1 + c, None])
            value = torch.cat((value, level), -1)
        return value

    def table(self, features: Tensor, prefix: Tensor) -> Tensor:
        """P(x_c = k | x_0 .. x_(c - 1)), [..., K]: the weights become those given the prefix."""
        parts = self._parts(features)
        c = prefix.shape[-1]
        weights = self._joint(parts, prefix).log_softmax(-1).unsqueeze(-2)  # [..., 1, M]
        given = parts.given(prefix, c).unsqueeze(-3)  # [..., 1, 2, M]
        levels = torch.arange(self.num_levels, dtype=given.dtype, device=given.device)
        each = self._cell.log_prob_cells(given, levels.unsqueeze(-1))  # [..., K, M]
        return (weights + each).logsumexp(-1).exp()

    def mean(self, features: Tensor) -> Tensor:
        """E[x], [..., 1], exact; of colours it would take a sum over K ** 2 pairs of others."""
        if self.width > 1:
            raise NotImplementedError("the mean of coupled colours has no cheap form")
        parts = self._parts(features)
        means = self._cell.mean(parts.given(features[..., :0], 0))
        return (parts.logits.softmax(-1) * means).sum(-1, keepdim=True)

    def initial_features(self, x: Tensor) -> Tensor:
        """Components at equal parts of the sorted levels, uncoupled; of pixels [rows, W]."""
        number, top = self.num_components, self.num_levels - 1
        y = 2 * x.double() / top - 1
        middles = (torch.arange(number, dtype=y.dtype, device=y.device) + 0.5) / number
        loc = y.quantile(middles, 0).T
        # wide enough for colours that do not rise and fall together, and a level at least
        spread = (y.std(0, correction=0) * math.sqrt(3) / math.pi / 2).clamp_min(1 / top)
        log_scale = log_scale_feature(spread, self.min_log_scale).unsqueeze(-1).expand_as(loc)
        logits = loc.new_zeros(1, number)
        coefficients = loc.new_zeros(self._sizes[3], number)
        return torch.cat((logits, loc, log_scale, coefficients)).flatten().to(x.dtype)

    @property
    def _sizes(self) -> tuple[int, int, int, int]:
        return 1, self.width, self.width, self.width * (self.width - 1) // 2

    @property
    def _cell(self) -> DiscretizedLogistic:
        return DiscretizedLogistic((self.num_components,), self.num_levels, self.min_log_scale)

    def _parts(self, features: Tensor) -> _Parts:
        shaped = single(features).unflatten(-1, (-1, self.num_components))
        logits, loc, log_scale, coefficients = shaped.split(self._sizes, -2)
        return _Parts(logits.squeeze(-2), loc, log_scale, coefficients.tanh(), self.num_levels)

    def _joint(self, parts: _Parts, value: Tensor) -> Tensor:
        """Log of weight times mass of the colours that are given, unnormalised: [..., M]."""
        total = parts.logits
        for c in range(value.shape[-1]):
            given = parts.given(value, c)
            total = total + self._cell.log_prob_cells(given, value[..., c : c + 1])
        return total


@dataclass(frozen=True)
class _Parts:
    """Parameters of the components, those of a kind along the axis before the last.

    Args:
        logits: [..., M].
        loc: [..., W, M].
        log_scale: [..., W, M].
        coefficients: [..., W (W - 1) / 2, M], between -1 and 1.
        num_levels: K.
    """

    logits: Tensor
    loc: Tensor
    log_scale: Tensor
    coefficients: Tensor
    num_levels: int

    def picked(self, index: Tensor) -> _Parts:
        """One component, [..., 1]."""

        def pick(part: Tensor) -> Tensor:
            return part.gather(-1, index.unsqueeze(-2).expand(*part.shape[:-1], 1))

        loc, log_scale, coefficients = map(pick, (self.loc, self.log_scale, self.coefficients))
        return _Parts(self.logits.gather(-1, index), loc, log_scale, coefficients, self.num_levels)

    def given(self, value: Tensor, c: int) -> Tensor:
        """Location and log-scale of colour c, given the levels of those before, [..., 2, M]."""
        loc = self.loc[..., c, :]
        first = c * (c - 1) // 2
        for before in range(c):
            y = 2 * value[..., before, None] / (self.num_levels - 1) - 1
            loc = loc + self.coefficients[..., first + before, :] * y
        log_scale = self.log_scale[..., c, :]
        return torch.stack(torch.broadcast_tensors(loc, log_scale), -2)


@dataclass(frozen=True)
class CoupledLogisticSites(UniformSites):
    """All pixels of an image under one `CoupledLogistic`.

    Example:
        >>> head = CoupledLogisticSites.of_image(num_pixels=6, num_levels=256, width=3)
        >>> head.num_features
        100
    """

    @staticmethod
    def of_image(
        num_pixels: int, num_levels: int, width: int, num_components: int = 10
    ) -> CoupledLogisticSites:
        """Sites for images of so many pixels, grey (W = 1) or coloured (W = 3)."""
        site = CoupledLogistic(num_levels, num_components, width)
        return CoupledLogisticSites(site, num_pixels, site.num_features)

    def initial_features(self, x: Tensor) -> Tensor:
        """Those of all pixels together, for each of them, [T, P]."""
        assert isinstance(self.conditional, CoupledLogistic)
        pooled = x.reshape(-1, x.shape[-1])
        # quantiles want all of it sorted: a regular part of it will do
        pooled = pooled[:: max(1, len(pooled) // 100_000)]
        return self.conditional.initial_features(pooled).expand(self.num_sites, -1)

    def check(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Whole numbers from 0 to K - 1."""
        assert isinstance(self.conditional, CoupledLogistic)
        support = codes(self.conditional.num_levels)
        name = type(self.conditional).__name__
        check_support(name, support, tuple(x.shape[1:]), x, observed)
