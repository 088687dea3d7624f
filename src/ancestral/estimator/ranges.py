"""Ranges of numbers that recipes of every family take, checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from ancestral.core import OptionError

__all__ = ["check_ranges"]

_SIZES = (
    "channels",
    "capacity_steps",
    "components",
    "context_size",
    "dilation_cycle",
    "embedding_size",
    "first_kernel_size",
    "flow_size",
    "hidden_size",
    "inner_size",
    "inverse_size",
    "kernel_size",
    "latent_size",
    "leapfrog_steps",
    "num_components",
    "num_flows",
    "num_heads",
    "num_layers",
    "num_masks",
    "num_orders",
    "num_rows",
    "num_samples",
    "num_stacks",
    "skip_channels",
    "svi_steps",
    "top_size",
)
_COUNTS = ("kl_warm_up", "num_blocks", "num_hidden_layers")


def check_ranges(options: Mapping[str, Any]) -> None:
    """Refuse a size below 1, a count below 0, or a probability of dropout that is none.

    Args:
        options: of a recipe, by name; None where one follows from the data.

    Raises:
        OptionError: naming the option.

    Example:
        >>> check_ranges({"hidden_size": 0})
        Traceback (most recent call last):
        ...
        ancestral.core.errors.OptionError: expected hidden_size of at least 1, got 0
        <BLANKLINE>
        hint: leave out --hidden-size for the recipe's own choice
    """
    for name, value in options.items():
        hint = f"leave out --{name.replace('_', '-')} for the recipe's own choice"
        if value is None:
            continue
        least = 1 if name in _SIZES else 0 if name in _COUNTS else None
        if least is not None and not (isinstance(value, Integral) and int(value) >= least):
            raise OptionError(f"expected {name} of at least {least}, got {value!r}", hint=hint)
        if name == "dropout" and not (isinstance(value, Real) and 0 <= float(value) < 1):
            raise OptionError(
                f"expected dropout of at least 0 and below 1, got {value!r}", hint=hint
            )
