"""A folder of pictures; folders in it are classes, or train, valid and test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.specification import Kind
from ancestral.data.loaders.idx import read_idx_folder
from ancestral.data.raw import Raw, ReadOptions, Rows, coded_labels

__all__ = ["read_folder"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_PARTS = {
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
}


def read_folder(folder: Path, options: ReadOptions) -> Raw:
    """Grey pictures as [rows, height, width], colour as [rows, height, width, 3], 0 .. 255."""
    if any(folder.glob("*-images-idx3-ubyte*")):
        return read_idx_folder(folder, options)
    options.refuse_columns(f"the pictures of {folder}")
    splits = {p.name: p for p in sorted(folder.iterdir()) if p.is_dir() and p.name in _PARTS}
    if "train" in splits:
        files = {_PARTS[name]: _pictures(path) for name, path in splits.items()}
        roots = {_PARTS[name]: path for name, path in splits.items()}
        text = "its own split"
    else:
        files, roots, text = {"all": _pictures(folder)}, {"all": folder}, "in order of name"
    every = [path for paths in files.values() for path in paths]
    if not every:
        raise DataError(
            f"expected pictures ({', '.join(_SUFFIXES[:3])}, ...) in {folder}, got none",
            hint="give the folder that holds the pictures, or folders of them",
        )
    colour = any(_is_colour(path) for path in every)
    size = None
    parts = {}
    classes = [_class(p, roots[part]) for part, paths in files.items() for p in paths]
    codes, names = (None, None) if not all(classes) else coded_labels(np.array(classes))
    at = 0
    for part, paths in files.items():
        values = []
        for path in paths:
            picture = _read(path, "RGB" if colour else "L")
            size = size or (path, picture.shape[:2])
            if picture.shape[:2] != size[1]:
                raise DataError(
                    f"expected pictures of one size, got {_words(size[1])} in {size[0].name} "
                    f"and {_words(picture.shape[:2])} in {path.name}",
                    hint="resize or crop them to one size first",
                )
            values.append(picture)
        labels = None if codes is None else codes[at : at + len(paths)]
        at += len(paths)
        if paths:
            parts[part] = Rows(np.stack(values), labels)
    return Raw(
        parts,
        kind=Kind.LEVELS,
        num_levels=256,
        provenance=f"{len(every)} pictures of {folder.name}, {text}",
        label_names=names,
    )


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        p
        for p in folder.rglob("*")
        if p.suffix.lower() in _SUFFIXES and p.is_file() and not p.name.startswith(".")
    )


def _class(path: Path, root: Path) -> str:
    return "/".join(path.relative_to(root).parts[:-1])


def _words(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]}"


def _is_colour(path: Path) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return picture.mode not in ("L", "1", "I", "I;16", "F", "LA")
    except (UnidentifiedImageError, OSError) as error:
        raise _unreadable(path) from error


def _read(path: Path, mode: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode in ("I", "I;16", "F"):
                raise DataError(
                    f"expected pictures of 8 bits, got mode {picture.mode} in {path}",
                    hint="convert to 8-bit grey or colour",
                )
            return np.asarray(picture.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise _unreadable(path) from error


def _unreadable(path: Path) -> DataError:
    return DataError(
        f"expected a picture, got a file that cannot be read as one: {path}",
        hint="remove it or save it again",
    )
