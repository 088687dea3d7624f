"""Convolutions over images."""

from collections.abc import Callable

import torch
from case import Case
from torch.nn import functional as F

from ancestral.distributions import Bernoulli, Categorical, Normal, site_head
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import GatedConvolutions, MaskedConvolutions, OneHot, Plain
from ancestral.networks.causal.image_cells import CausalConvolution


def _gated(shape, head, encoding, **options) -> AutoregressiveModel:
    cells = shape[0] * shape[1] * shape[2]
    sites = site_head(head, cells)
    network = GatedConvolutions(
        shape, sites.num_features, encoding, first_kernel_size=3, **options
    )
    return AutoregressiveModel(network, sites, head.event_shape)


def _gated_binary() -> AutoregressiveModel:
    return _gated((3, 3, 1), Bernoulli((3, 3)), Plain(), size=6, num_layers=3)


def _gated_context() -> AutoregressiveModel:
    options = {"size": 5, "num_layers": 3, "context_size": 2, "output_size": 7}
    return _gated((2, 3, 1), Bernoulli((2, 3, 1)), Plain(), **options)


def _gated_colour() -> AutoregressiveModel:
    return _gated((2, 2, 3), Bernoulli((2, 2, 3)), Plain(), size=8, num_layers=2)


def _gated_levels() -> AutoregressiveModel:
    return _gated((2, 2, 1), Categorical((2, 2), 4), OneHot(4), size=6, num_layers=2)


def _gated_dilated() -> AutoregressiveModel:
    options = {"size": 5, "num_layers": 3, "dilations": (2, 1)}
    return _gated((3, 4, 1), Bernoulli((3, 4)), Plain(), **options)


def _gated_dilated_colour() -> AutoregressiveModel:
    options = {"size": 4, "num_layers": 3, "dilations": (2, 1)}
    return _gated((3, 3, 2), Bernoulli((3, 3, 2)), Plain(), **options)


def _gated_real() -> AutoregressiveModel:
    options = {"size": 4, "num_layers": 3, "kernel_size": 5}
    return _gated((4, 5, 1), Normal((4, 5)), Plain(), **options)


def _masked(shape, head, encoding, **options) -> AutoregressiveModel:
    sites = site_head(head, shape[0] * shape[1] * shape[2])
    # a unit that is dead on this data would hide what it sees
    options |= {"activation": F.silu, "first_kernel_size": 3}
    network = MaskedConvolutions(shape, sites.num_features, encoding, **options)
    return AutoregressiveModel(network, sites, head.event_shape)


def _masked_binary() -> AutoregressiveModel:
    return _masked((3, 3, 1), Bernoulli((3, 3)), Plain(), size=12, num_residual=2)


def _masked_context() -> AutoregressiveModel:
    options = {"size": 12, "num_residual": 1, "context_size": 2}
    return _masked((2, 3, 1), Bernoulli((2, 3, 1)), Plain(), **options)


def _masked_colour() -> AutoregressiveModel:
    return _masked((2, 2, 3), Bernoulli((2, 2, 3)), Plain(), size=18, num_residual=1)


def _own_channels(model: AutoregressiveModel) -> dict[str, torch.Tensor]:
    """Weights of a pixel's own channels, where one must not see the other."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, CausalConvolution) and module.mask is not None:
            unused = torch.zeros(module.weight.shape, dtype=torch.bool)
            unused[..., -1] = ~module.mask
            found[f"{name}.weight"] = unused
    return found


def _reach(rows_up: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """[T, T] bool: whether a stack of 3 x 3 kernels sees a cell; `rows_up` rows above at most.

    With each row up it sees one more pixel to the right, and no more: beyond is the blind spot.
    """
    height, width, channels = shape
    cells = height * width * channels
    seen = torch.zeros(cells, cells, dtype=torch.bool)
    for to in range(cells):
        row, column = divmod(to // channels, width)
        for of in range(to):
            up, right = row - of // channels // width, of // channels % width - column
            seen[to, of] = up <= rows_up and right <= up
    return seen


def _whole_rows(shape: tuple[int, int, int]) -> Callable[[], torch.Tensor]:
    return lambda: _reach(shape[0], shape)


CASES = [
    Case("gated_pixel_cnn", _gated_binary),
    Case("gated_pixel_cnn, context", _gated_context, learns_copy=False),
    Case("gated_pixel_cnn, colour", _gated_colour, unused=_own_channels),
    Case("gated_pixel_cnn, categorical", _gated_levels, num_codes=4),
    Case("gated_pixel_cnn, dilated", _gated_dilated),
    Case(
        "gated_pixel_cnn, dilated colour",
        _gated_dilated_colour,
        unused=_own_channels,
        enumerable=False,
    ),
    Case("gated_pixel_cnn, real", _gated_real, num_codes=None, enumerable=False),
    Case("pixel_cnn", _masked_binary, pattern=_whole_rows((3, 3, 1))),
    Case(
        "pixel_cnn, context",
        _masked_context,
        pattern=_whole_rows((2, 3, 1)),
        learns_copy=False,
    ),
    Case(
        "pixel_cnn, colour",
        _masked_colour,
        pattern=_whole_rows((2, 2, 3)),
        unused=_own_channels,
    ),
]
