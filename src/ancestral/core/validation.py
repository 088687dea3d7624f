"""Keeping the argument checks of torch's distributions as a user has set them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.distributions import Distribution

__all__ = ["validation_kept"]


@contextmanager
def validation_kept() -> Iterator[None]:
    """Restore the checks after code that turns them off for the whole process.

    `torch.compile` does, and so does the import of some packages.
    """
    before = Distribution._validate_args
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)
