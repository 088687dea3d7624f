"""The data sets with names."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ancestral.core.errors import DataError
from ancestral.core.registry import Registry
from ancestral.data.assemble import Preparation, assemble
from ancestral.data.dataset import Dataset
from ancestral.data.download import download
from ancestral.data.locate import cache_folder, find_file
from ancestral.data.raw import Raw, ReadOptions
from ancestral.data.registered import binary, cells, images, sequences, tabular, text
from ancestral.data.registered.row import Finder, RegisteredSet

__all__ = ["DATASETS", "get_dataset", "load_folds", "read_registered"]

DATASETS: Registry[RegisteredSet] = Registry("data set", DataError)
for _topic in (images, text, binary, tabular, sequences, cells):
    for _name, _row in _topic.ROWS.items():
        DATASETS.add(_name, _row)

_WITH_LENGTH = ("tinyshakespeare", "names", "ptb", "fsdd")


def read_registered(name: str, options: ReadOptions, data_dir: str | Path | None = None) -> Raw:
    """The rows of a registered data set.

    Raises:
        DataError: unknown name, absent files, or options it does not take.
    """
    row = DATASETS[name]
    options.refuse_columns(f"the data set {name!r}")
    options.refuse_symbols(f"the data set {name!r}")
    if options.length is not None and name not in _WITH_LENGTH:
        raise DataError(
            f"expected no length for the data set {name!r}, got {options.length}",
            hint="data sets with a length: " + ", ".join(_WITH_LENGTH),
        )
    return row.read(_finder(name, data_dir), options)


def load_folds(
    name: str = "wine-red-folds", *, data_dir: str | Path | None = None
) -> list[Dataset]:
    """One data set for each fold of a cross-validation; a tenth of each training part validates.

    Raises:
        DataError: the data set has no folds of its own.
    """
    if name != "wine-red-folds":
        raise DataError(f"expected a data set with folds, got {name!r}", hint="wine-red-folds")
    find = _finder(name, data_dir)
    reference = DATASETS[name].reference
    return [
        assemble(
            tabular.read_wine_fold(find, ReadOptions(), fold=fold), Preparation(), name, reference
        )
        for fold in range(1, tabular.NUM_WINE_FOLDS + 1)
    ]


def get_dataset(name: str, cache_dir: str | Path | None = None) -> list[Path]:
    """Download a registered data set into the cache, if it has a stable public source."""
    table = {key: row.downloads for key, row in DATASETS.items()}
    _ = DATASETS[name]  # an unknown name is answered before an undownloadable one
    return download(name, table, cache_folder() if cache_dir is None else cache_dir)


def _finder(name: str, data_dir: str | Path | None) -> Finder:
    public = f"ancestral data get {name}" if DATASETS[name].downloads else None
    return partial(find_file, name=name, data_dir=data_dir, public=public)
