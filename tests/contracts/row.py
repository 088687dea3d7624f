"""`Row`: what the contract of recipes should know of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Row"]


@dataclass(frozen=True)
class Row:
    """A recipe in the contract.

    Args:
        accepts: names of the sources that it takes; the others it must refuse with a hint.
        small: options that make it quick.
        kind: of its log p; None if it has none.
        samples: whether it can be sampled, although it has no log p; those with one always can.
        latent: whether it encodes, reconstructs and interpolates.
        data: the source for tests that take one.
        conditional: whether it can be conditional on classes.
        trained: whether it is fitted by gradient steps from a random start, rather than solved.
    """

    accepts: frozenset[str]
    small: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = "lower_bound"
    latent: bool = True
    data: str = "binary"
    trained: bool = True
    conditional: bool = False
    samples: bool = False
