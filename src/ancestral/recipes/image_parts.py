"""Parts that recipes for images assemble in the same way."""

from __future__ import annotations

from ancestral.core import IncompatibleChoices, Specification

__all__ = ["image_shape"]


def image_shape(spec: Specification, recipe: str) -> tuple[int, int, int]:
    """(height, width, colours).

    Raises:
        IncompatibleChoices: the data are no images.
    """
    if spec.image_shape is None:
        raise IncompatibleChoices(
            f"{recipe} needs images of (height, width) or (height, width, colours), "
            f"got data of shape {spec.shape}",
            hint="`fvsbn`, `nade` and `made` take rows of any shape",
        )
    return spec.image_shape
