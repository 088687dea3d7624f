"""`data get` and `data list`."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from ancestral.cli.tables import print_table

__all__ = ["data"]

data = App(name="data", help="Download data sets, and list those that can be")


@data.command(name="get")
def get(name: str, /, *, data_dir: Path | None = None) -> None:
    """Download a data set, check it, and keep it in the cache.

    Args:
        name: of a data set with a public source; see `ancestral data list`.
        data_dir: folder to write to instead of $ANCESTRAL_CACHE or ~/.cache/ancestral.
    """
    from ancestral.data import get_dataset

    for path in get_dataset(name, data_dir):
        print(path)


@data.command(name="list")
def list_data() -> None:
    """Data sets, and which of them `ancestral data get` can download.

    The others are embedded (`digits`), or looked for in --data-dir and $ANCESTRAL_DATA.
    """
    from ancestral.data import DATASETS

    print_table(
        ("data set", "download", "what it is"),
        [(name, "yes" if row.downloads else "no", row.title) for name, row in DATASETS.items()],
    )
