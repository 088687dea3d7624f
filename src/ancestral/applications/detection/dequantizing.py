"""Integers as a model of numbers with noise sees them: each row with noise of its own."""

from __future__ import annotations

from dataclasses import replace

from ancestral.core import Batch, Specification
from ancestral.core.hashing import row_hashes
from ancestral.data.dequantization import is_dequantized, within_cell
from ancestral.data.noise import fixed_uniforms

__all__ = ["as_seen"]

_SEED = 47


def as_seen(batch: Batch, spec: Specification) -> Batch:
    """Rows of integers with noise that is a function of what the row holds.

    `Dequantized` draws the noise by the number of the row, so that log p of a row would depend
    on its place, and integers that come as an array have none. Rows of other data stay.

    Args:
        batch: integers, or integers with noise, for a model of the latter.
        spec: of the model's data.

    Example:
        >>> import torch
        >>> from ancestral.core import Kind
        >>> spec = Specification(Kind.REAL, (2,), integers=Specification(Kind.COUNT, (2,)))
        >>> seen = as_seen(Batch(torch.tensor([[3.0, 4.0], [0.0, 0.0], [3.2, 4.9]])), spec)
        >>> seen.x.floor().tolist()
        [[3.0, 4.0], [0.0, 0.0], [3.0, 4.0]]
        >>> bool((seen.x[0] == seen.x[2]).all())
        True
    """
    if not is_dequantized(spec):
        return batch
    whole = replace(batch, x=batch.x.floor())
    noise = fixed_uniforms(_SEED, row_hashes(whole), spec.shape)
    x = within_cell(whole.x, noise.to(batch.x.dtype))
    return replace(batch, x=x if batch.observed is None else x * batch.observed)
