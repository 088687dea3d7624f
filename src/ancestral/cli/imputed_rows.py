"""Which rows are to be filled in, and what is hidden of them first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ancestral.cli.imputed_table import is_table_of_text
from ancestral.cli.opened import OpenedRun
from ancestral.core import DataError, Kind, OptionError, ShapeError, Specification, derived_seed
from ancestral.data import Masked, Source, load_dataset
from ancestral.data.loaders.npz import load_arrays

__all__ = ["HALVES", "ChosenRows", "chosen_rows", "hidden", "masked"]

HALVES = ("top", "bottom", "left", "right")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_KNOWN = 128  # from this grey value on, a pixel of a mask says that a cell is known
_ROWS = 1000


@dataclass(frozen=True)
class ChosenRows:
    """Rows to fill in.

    Args:
        source: the rows.
        text: which they are, in words.
        table: the file whose text they are, row by row; None for others.
    """

    source: Source
    text: str
    table: Path | None = None


def chosen_rows(
    opened: OpenedRun, data: str | None, split: str | None, data_dir: Path | None
) -> ChosenRows:
    """The rows of some data, or of the run's own."""
    if data is not None and Path(data).suffix.lower() in _PICTURES and Path(data).is_file():
        return ChosenRows(_picture(opened, Path(data)), f"the picture {data}")
    # gaps are wherever they are: the run's own file is read whole, as any other file
    name = opened.config.data.get("name") if data is None and split is None else data
    dataset = opened.data_with_gaps(name, data_dir, split=split)
    if split is None and len(dataset.splits) == 1:
        source = next(iter(dataset.splits.values()))
        path = None if name is None else Path(name).expanduser()
        table = path if path is not None and is_table_of_text(path) else None
        return ChosenRows(source, f"{dataset.name}, in its order", table)
    chosen = split or "test"
    return ChosenRows(dataset.split(chosen), f"the {chosen} split of {dataset.name}")


def hidden(source: Source, hide: str, seed: int) -> Source:
    """The rows without some of their cells.

    Args:
        source: rows.
        hide: a share at random, or a half of images.
        seed: of what is random.

    Raises:
        OptionError: neither a share nor a half of an image.
    """
    shape = source.spec.shape
    taken = _share_or_half(hide, () if source.spec.image_shape is None else HALVES)
    if isinstance(taken, str):
        height, width = shape[0] // 2, shape[1] // 2
        seen = torch.ones(len(source), *shape, dtype=torch.bool)
        rows = {"top": slice(height), "bottom": slice(height, None)}.get(taken, slice(None))
        columns = {"left": slice(width), "right": slice(width, None)}.get(taken, slice(None))
        seen[:, rows, columns] = False
    else:
        generator = torch.Generator().manual_seed(derived_seed(seed, 0))
        seen = torch.rand(len(source), *shape, generator=generator) >= taken
    return Masked(source, seen)


def masked(source: Source, path: Path) -> Source:
    """The rows, known only where a file says so.

    Args:
        source: rows.
        path: a picture, white where a pixel is known; or an array, .npy or the only one (or the
            one named mask) of an .npz, of ones and zeros. One for all rows, or one for each.

    Raises:
        DataError, ShapeError: it cannot be read, or is of another shape.
    """
    return Masked(source, _fitted(_mask_of(path), len(source), source.spec, path))


def _mask_of(path: Path) -> np.ndarray:
    """True where something is known."""
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"expected a mask, got no file {path}", hint="--mask mask.png")
    if suffix in _PICTURES:
        return _grey(path) >= _KNOWN
    if suffix not in (".npy", ".npz"):
        raise DataError(
            f"expected a mask that ends in .png, .npy or .npz, got {path}",
            hint="white, or 1, is known; black, or 0, is to be filled in",
        )
    values = _only_array(path) if suffix == ".npz" else _loaded(path)
    if values.dtype == np.uint8 and set(np.unique(values)) <= {0, 255}:
        return values == 255
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise DataError(
            f"expected a mask of True and False in {path}, got {values.dtype} with other values",
            hint="1 is known, 0 is to be filled in",
        )
    return values.astype(bool)


def _fitted(mask: np.ndarray, num_rows: int, spec: Specification, path: Path) -> Tensor:
    """[rows, *shape]."""
    shape, image = spec.shape, spec.image_shape
    choices = {shape: mask, (num_rows, *shape): mask}
    if image is not None and len(shape) == 3:  # all colours of a pixel together
        choices |= {shape[:2]: mask[..., None], (num_rows, *shape[:2]): mask[..., None]}
    if mask.shape not in choices:
        raise ShapeError(
            f"expected a mask of shape {list(shape)} for all rows, or {[num_rows, *shape]} for "
            f"each, got {list(mask.shape)} in {path}",
            hint="it says of each cell whether it is known",
        )
    full = np.broadcast_to(choices[mask.shape], (num_rows, *shape))
    return torch.from_numpy(np.ascontiguousarray(full))


def _only_array(path: Path) -> np.ndarray:
    arrays = load_arrays(path)
    if "mask" in arrays:
        return arrays["mask"]
    if len(arrays) != 1:
        raise DataError(
            f"expected one array, or one named mask, in {path}, got {', '.join(arrays) or 'none'}",
            hint="numpy.savez(path, mask=known)",
        )
    return next(iter(arrays.values()))


def _loaded(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            f"expected an array in {path}, got a damaged file or Python objects",
            hint="numpy.save(path, known)",
        ) from error


def _grey(path: Path) -> np.ndarray:
    return _opened_picture(path, "L")


def _opened_picture(path: Path, mode: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(
            f"expected a picture, got a file that cannot be read as one: {path}",
            hint="save it again as .png",
        ) from error


def _picture(opened: OpenedRun, path: Path) -> Source:
    """One picture as the rows of a model of images."""
    spec = opened.config.spec
    image = spec.image_shape
    if image is None:
        raise DataError(
            f"expected rows of shape {list(spec.shape)}, got the picture {path}",
            hint="the run is of data that are no images",
        )
    pixels = _opened_picture(path, "RGB" if image[2] == 3 else "L")
    if pixels.shape[:2] != image[:2]:
        raise ShapeError(
            f"expected a picture of {image[0]} x {image[1]} pixels, got "
            f"{pixels.shape[0]} x {pixels.shape[1]} in {path}",
            hint="the model was trained on images of the first size",
        )
    rows: np.ndarray = pixels.reshape(1, *spec.shape)
    if spec.kind is Kind.BINARY:
        rows = (rows >= _KNOWN).astype(np.uint8)
    elif spec.kind is Kind.UNIT:
        rows = rows / 255.0
    like = replace(spec, missing=True)
    dataset = load_dataset(rows, like=like, validation=0.0, test=0.0)
    return next(iter(dataset.splits.values()))


def _share_or_half(hide: str, halves: tuple[str, ...]) -> float | str:
    """What to take away."""
    if hide in halves:
        return hide
    try:
        share = float(hide)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        others = f", or one of {', '.join(halves)}" if halves else ""
        raise OptionError(
            f"expected --hide to be a share above 0 and at most 1{others}, got {hide!r}",
            hint="--hide 0.3 hides each cell with a chance of 0.3",
        )
    return share
