"""`.npz`: several numpy arrays; with `train`, `valid` and `test` it brings its own split."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ancestral.core.errors import DataError
from ancestral.data.raw import Raw, ReadOptions, Rows, coded_labels

__all__ = ["load_arrays", "raw_from_arrays", "read_npz"]

PARTS = ("train", "valid", "test")
_ALIASES = {"validation": "valid", "val": "valid"}
_WHOLE = ("x", "X", "data", "images", "all")
_LABELS = ("y", "labels", "targets", "all_labels")


def read_npz(path: Path, options: ReadOptions) -> Raw:
    """The rows of an `.npz` file."""
    options.refuse_columns(f"the arrays of {path}")
    return raw_from_arrays(load_arrays(path), str(path))


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, none of them a pickle.

    Raises:
        DataError: the file is damaged or holds Python objects.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(
            f"expected an .npz archive, got a damaged one: {path}",
            hint="copy or download the file again",
        ) from error
    except ValueError as error:
        raise DataError(
            f"expected arrays of numbers in {path}, got Python objects, which are never read",
            hint="convert to float32 or an integer type before numpy.savez",
        ) from error


def raw_from_arrays(arrays: Mapping[str, np.ndarray], what: str) -> Raw:
    """Rows from named arrays.

    `train`, `valid` (or `validation`, `val`) and `test`, each with `*_labels`; or one array
    named x, X, data, images or all, or the only one of numbers there is, with y or labels.
    """
    arrays = {_renamed(name): array for name, array in arrays.items()}
    if any(part in arrays for part in PARTS):
        sources = {p: (arrays[p], arrays.get(f"{p}_labels")) for p in PARTS if p in arrays}
        text = f"{what}, its own split"
    else:
        name = _whole(arrays, what)
        found = next((arrays[k] for k in _LABELS if k in arrays and k != name), None)
        sources = {"all": (arrays[name], found)}
        text = f"{what}, array {name!r}"
    if set(sources) == {"train"}:
        sources = {"all": sources["train"]}
        text = f"{what}, array 'train'"
    parts, names = {}, None
    given = [label for _, label in sources.values() if label is not None]
    if given and len(given) == len(sources):
        codes, names = coded_labels(np.concatenate(given))
        at = 0
        for part, (values, label) in sources.items():
            assert label is not None
            parts[part] = Rows(values, codes[at : at + len(label)])
            at += len(label)
    else:
        parts = {part: Rows(values) for part, (values, _) in sources.items()}
    return Raw(parts, provenance=text, label_names=names or _class_names(arrays))


def _whole(arrays: Mapping[str, np.ndarray], what: str) -> str:
    """The name of the array that holds the data."""
    usable = [k for k, v in arrays.items() if v.ndim >= 1 and v.dtype.kind in "biuf"]
    named = [k for k in _WHOLE if k in usable]
    others = [k for k in usable if k not in _LABELS]
    if named:
        return named[0]
    if len(others) == 1:
        return others[0]
    have = ", ".join(f"{k} {list(v.shape)} {v.dtype}" for k, v in arrays.items()) or "none"
    raise DataError(
        f"expected arrays train, valid and test, or one named x, in {what}, got: {have}",
        hint="name the arrays train, valid, test (and train_labels, ...)",
    )


def _class_names(arrays: Mapping[str, np.ndarray]) -> tuple[str, ...] | None:
    names = arrays.get("class_names")
    return None if names is None else tuple(str(n) for n in names)


def _renamed(name: str) -> str:
    stem, mark, rest = name.partition("_")
    return _ALIASES.get(stem, stem) + mark + rest
