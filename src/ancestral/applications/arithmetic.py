"""Attribute vectors: directions in the space of codes that stand for an attribute."""

from __future__ import annotations

from torch import Tensor

from ancestral.core import DataError, ShapeError

__all__ = ["attribute_vector", "shifted"]


def attribute_vector(codes: Tensor, has: Tensor, lacks: Tensor | None = None) -> Tensor:
    """The mean code of rows with an attribute less the mean code of rows without it, [latent].

    Args:
        codes: [rows, latent].
        has: [rows] bool, rows with the attribute.
        lacks: [rows] bool, rows to compare them with; None: all others.

    Raises:
        ShapeError: a mask is not of the rows.
        DataError: no row has the attribute, or none lacks it.

    Example:
        >>> import torch
        >>> codes = torch.tensor([[1.0, 5.0], [3.0, 5.0], [0.0, 1.0]])
        >>> attribute_vector(codes, torch.tensor([True, True, False]))
        tensor([2., 4.])

    References:
        | Autoencoding beyond pixels using a learned similarity metric (Larsen et al., 2016),
        | section 4.2
    """
    without = ~has if lacks is None else lacks
    for mask in (has, without):
        if mask.shape != codes.shape[:1]:
            raise ShapeError(
                f"expected a mask of {len(codes)} rows, got shape {list(mask.shape)}",
                hint="it says of each row whether it has the attribute",
            )
    for mask, what in ((has, "with the attribute"), (without, "without it")):
        if not bool(mask.any()):
            raise DataError(
                f"expected rows {what}, got none", hint="the vector is a difference of two means"
            )
    return (codes[has].double().mean(0) - codes[without].double().mean(0)).to(codes.dtype)


def shifted(codes: Tensor, vector: Tensor, strengths: Tensor) -> Tensor:
    """Codes with an attribute vector added, times each strength: [rows, strengths, latent].

    Args:
        codes: [rows, latent].
        vector: [latent].
        strengths: [strengths]; 0 leaves a code as it is, and -1 takes the attribute away.

    Raises:
        ShapeError: the vector is not of the codes.
    """
    if vector.shape != codes.shape[1:]:
        raise ShapeError(
            f"expected a vector of {codes.shape[1]} latent variables, got shape "
            f"{list(vector.shape)}",
            hint="take it from the same model",
        )
    return codes.unsqueeze(1) + strengths.to(codes).reshape(-1, 1) * vector.to(codes)
