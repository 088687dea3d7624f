"""Where data sets lie."""

from __future__ import annotations

import os
from pathlib import Path

from ancestral.core.errors import DataError

__all__ = ["cache_folder", "find_file"]


def cache_folder() -> Path:
    """$ANCESTRAL_CACHE, or ~/.cache/ancestral; `ancestral data get` writes there."""
    given = os.environ.get("ANCESTRAL_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "ancestral"


def find_file(
    relative: str, name: str, data_dir: str | Path | None = None, public: str | None = None
) -> Path:
    """The file of a registered data set.

    Looked for in `data_dir`, then in $ANCESTRAL_DATA, then in the cache.

    Args:
        relative: path within a data folder.
        name: of the data set, for messages.
        data_dir: a data folder.
        public: the command that downloads it; None if it has no stable public source.

    Raises:
        DataError: it is in none of them.
    """
    folders = [Path(data_dir)] if data_dir is not None else []
    if os.environ.get("ANCESTRAL_DATA"):
        folders.append(Path(os.environ["ANCESTRAL_DATA"]))
    folders.append(cache_folder())
    for folder in folders:
        if (folder / relative).is_file():
            return folder / relative
    raise DataError(
        f"expected {relative} for the data set {name!r}, got no such file in "
        + ", ".join(str(f) for f in folders),
        hint=f"{'' if public is None else public + ', or '}--data-dir FOLDER, or set "
        "$ANCESTRAL_DATA to a folder that has it",
    )
