"""Errors: what was expected, what came, in the user's words; then a way out."""

from __future__ import annotations

__all__ = [
    "AncestralError",
    "DataError",
    "IncompatibleChoices",
    "NonFiniteLoss",
    "NotExact",
    "OptionError",
    "RunError",
    "ShapeError",
]


class AncestralError(Exception):
    """Base of every error a user can cause.

    Args:
        message: what was expected and what came, one line.
        hint: a way out, or None. Printed after a blank line and `hint: `.

    Example:
        >>> print(AncestralError("expected 784 pixels, got 783", hint="check the file"))
        expected 784 pixels, got 783
        <BLANKLINE>
        hint: check the file
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n\nhint: {self.hint}"


class DataError(AncestralError, ValueError):
    """The data cannot be read, or are not what the model or the format needs."""


class ShapeError(AncestralError, ValueError):
    """An array has another shape than the one that was promised."""


class OptionError(AncestralError, ValueError):
    """An option does not exist, or its value is outside its range."""


class IncompatibleChoices(AncestralError, ValueError):
    """Two parts that are each valid cannot be used together."""


class NotExact(AncestralError, TypeError):
    """An exact quantity was asked of a model that has none."""


class RunError(AncestralError, ValueError):
    """A run folder is missing, foreign, damaged, or would be overwritten."""


class NonFiniteLoss(AncestralError, ArithmeticError):
    """Training met NaN or infinity; the message names the step, the rows and a likely cause."""
