"""`RegisteredSet`: a data set with a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ancestral.data.binarization import Binarization
from ancestral.data.download import Download
from ancestral.data.raw import Raw, ReadOptions

__all__ = ["Finder", "RegisteredSet"]

Finder = Callable[[str], Path]
"""Where a file of a data folder is, from its path within the folder."""


@dataclass(frozen=True)
class RegisteredSet:
    """One row of the registry.

    Args:
        title: what it is, in one line.
        reference: paper or repository.
        read: its rows, from its files.
        binarization: of its grey values, unless a person asks for another.
        downloads: files with a stable public address; none where there is none.
    """

    title: str
    reference: str
    read: Callable[[Finder, ReadOptions], Raw]
    binarization: Binarization = Binarization.NONE
    downloads: tuple[Download, ...] = ()
