"""`Registry`: names, and the things they stand for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from ancestral.core.errors import AncestralError, OptionError

__all__ = ["Registry", "nearest"]

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping that refuses duplicates, and answers an unknown name with the nearest ones.

    Args:
        noun: what the entries are, for messages.
        error: the class of the error for an unknown name.

    Example:
        >>> colours = Registry[int]("colour")
        >>> colours.add("red", 1)
        >>> colours["rad"]
        Traceback (most recent call last):
        ...
        ancestral.core.errors.OptionError: unknown colour 'rad'
        <BLANKLINE>
        hint: did you mean 'red'?
    """

    def __init__(self, noun: str, error: type[AncestralError] = OptionError) -> None:
        self._noun = noun
        self._error = error
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> None:
        """Add an entry under a new name."""
        if name in self._entries:
            raise ValueError(f"{self._noun} {name!r} is registered twice")
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise self._error(
                f"unknown {self._noun} {name!r}", hint=nearest(name, list(self._entries))
            )
        return self._entries[name]

    def get(self, name: str, default: T | None = None) -> T | None:
        """The entry, or a default for an unknown name; `Mapping`'s would raise our error."""
        return self._entries.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def nearest(name: str, names: list[str]) -> str:
    """A hint that names the closest of some names, or all of them if none is close."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "there are: " + ", ".join(sorted(names))
