"""`Document`: what is to come back byte for byte, and what of it a model codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.gaps import Gaps
from ancestral.applications.compression.grids import Grids
from ancestral.core import Specification
from ancestral.data import Vocabulary

__all__ = ["Document", "Form", "Reading", "Restore", "as_symbols"]


@dataclass(frozen=True)
class Document:
    """Bytes taken apart: symbols that a model codes, and what it knows nothing of.

    Attributes:
        form: by which it is put together again; a name in `FORMS`.
        content: all of it.
        symbols: [rows, *shape] int64; or [N] of one running sequence.
        grids: of the cells.
        details: for the header, as JSON.
        side: what else it takes to put the content together, as strings of bytes.
        is_running: whether the symbols are one sequence rather than rows.
        context: [rows, context_size] that the rows are given, or None.
        rival: what general-purpose compressors are given instead, where that is fairer to them.
        pixels: [images, height, width(, 3)] uint8 if they are pictures, for comparison with PNG.
        gaps: cells that are missing, or None: they are not coded.
        remark: what a person should know of what comes back, or "".
    """

    form: str
    content: bytes
    symbols: Tensor
    grids: Grids = field(default_factory=Grids)
    details: dict[str, Any] = field(default_factory=dict)
    side: tuple[bytes, ...] = ()
    is_running: bool = False
    context: Tensor | None = None
    rival: bytes | None = None
    pixels: np.ndarray | None = None
    remark: str = ""
    gaps: Gaps | None = None


@dataclass(frozen=True)
class Reading:
    """How a run reads its data, which its files need not say again.

    Args:
        spec: what a row is.
        vocabulary: of text.
    """

    spec: Specification
    vocabulary: Vocabulary | None = None


Restore = Callable[[dict[str, Any], list[bytes], np.ndarray, Grids, Reading, Gaps | None], bytes]
"""Details, side information, symbols, their grids, how the run reads, and gaps -> content."""


@dataclass(frozen=True)
class Form:
    """How symbols become content again.

    Args:
        restore: the content.
        suffixes: of files that the content can be written to; the first is its own.
    """

    restore: Restore
    suffixes: tuple[str, ...]


def as_symbols(values: np.ndarray) -> Tensor:
    """Whole numbers as a tensor of int64."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))
