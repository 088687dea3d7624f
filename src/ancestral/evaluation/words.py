"""Numbers of things, in words."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """So many of something.

    Args:
        number: how many.
        singular: of the noun.
        plural: of the noun; None adds an s.

    Example:
        >>> counted(1, "sample"), counted(1000, "sample"), counted(1, "datum", "data")
        ('1 sample', '1,000 samples', '1 datum')
    """
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"
