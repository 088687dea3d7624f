"""Parts that recipes for images assemble in the same way."""

from __future__ import annotations

from ancestral.core import IncompatibleChoices, Specification

__all__ = ["image_shape"]


def image_shape(
    spec: Specification, recipe: str, others: str = "`fvsbn`, `nade` and `made` take"
) -> tuple[int, int, int]:
    """(height, width, colours).

    Args:
        spec: what the data are.
        recipe: who asks, for the message.
        others: what takes other data, for the hint.

    Raises:
        IncompatibleChoices: the data are no images.
    """
    if spec.image_shape is None:
        raise IncompatibleChoices(
            f"{recipe} needs images of (height, width) or (height, width, colours), "
            f"got data of shape {spec.shape}",
            hint=f"{others} rows of any shape",
        )
    return spec.image_shape
