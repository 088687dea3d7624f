"""`load_dataset`: one door for names, paths and objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ancestral.core.errors import DataError, OptionError
from ancestral.core.registry import nearest
from ancestral.core.specification import Kind, Specification
from ancestral.data.assemble import STREAMS, Preparation, assemble, binarize, spec_like
from ancestral.data.binarization import Binarization
from ancestral.data.dataset import Dataset
from ancestral.data.dequantization import Dequantized
from ancestral.data.inference import with_kind
from ancestral.data.loaders import LOADERS, check_file, read_path
from ancestral.data.loaders.npy import read_npy_header
from ancestral.data.loaders.objects import raw_from_object
from ancestral.data.memmap import MemmapSource, NpyReader, summarize_blocks
from ancestral.data.parquet import ParquetSource, open_parquet
from ancestral.data.raw import ReadOptions
from ancestral.data.registry import DATASETS, read_registered
from ancestral.data.source import Source
from ancestral.data.splits import Fractions, split_blocks
from ancestral.data.vocabulary import Symbols, Vocabulary

__all__ = ["load_dataset"]

_MEMORY_BYTES = 512 << 20
_Choice = TypeVar("_Choice", Kind, Binarization, Symbols)


def load_dataset(
    data: str | Path | Any = "digits",
    *,
    data_dir: str | Path | None = None,
    kind: Kind | str | None = None,
    kinds: Mapping[str, Kind | str] | None = None,
    label: str | None = None,
    drop: Iterable[str] = (),
    length: int | None = None,
    symbols: Symbols | str | None = None,
    binarization: Binarization | str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    like: Specification | None = None,
    vocabulary: Vocabulary | None = None,
    max_memory: int = _MEMORY_BYTES,
) -> Dataset:
    """Data to train on, from a registered name, a path or an object.

    Args:
        data: a name (`digits`, `mnist`, ...); a path to .npy .npz .csv(.gz) .parquet .h5ad .txt
            .wav .zip idx(.gz) or a folder of pictures; a numpy array or torch tensor of rows, a
            dictionary of such (train, valid, test), a pandas DataFrame, an AnnData. Arrays hold
            NaN where a cell is missing.
        data_dir: a folder of data sets, looked in before $ANCESTRAL_DATA and the cache.
        kind: what every cell is, such as "count"; found from the values if None, and
            `spec.reason` says how. "real" for an array of whole numbers adds uniform noise.
        kinds: what some columns of a table are, by name.
        label: the column of labels, in tables and `.h5ad`; models never see it.
        drop: columns to leave out.
        length: symbols of a window of text (256; 64 words), or samples of a frame of sound
            (1024).
        symbols: what a .txt file is a sequence of: "characters", "bytes", "words", or "lines",
            each of which is a datum of its own; characters if None.
        binarization: "none", "static" or "dynamic"; the data set's own choice if None.
        validation: share of rows to validate, where the data bring no split.
        test: share of rows to test.
        seed: of the split and of fixed draws.
        like: the specification of a trained model: the same columns, categories and levels.
            Gaps are refused unless it has them; `replace(spec, missing=True)` lets them in.
        vocabulary: that of a trained model of text; with `like` it decides on the symbols and
            the length too.
        max_memory: bytes above which `.npy` and `.parquet` files are streamed from disk, and
            split by whole blocks.

    Raises:
        DataError: the data cannot be read or are not what was asked for.

    Example:
        >>> dataset = load_dataset("digits")
        >>> dataset.spec.kind, dataset.spec.num_levels, dataset.spec.shape, len(dataset.train)
        (<Kind.LEVELS: 'levels'>, 17, (8, 8), 1437)
    """
    preparation = Preparation(
        kind=None if kind is None else _member(Kind, kind),
        kinds={name: _member(Kind, k) for name, k in (kinds or {}).items()},
        binarization=None if binarization is None else _member(Binarization, binarization),
        fractions=Fractions(validation, test),
        seed=seed,
        like=like,
    )
    if isinstance(drop, str):
        raise OptionError(f"expected a list of columns to drop, got the text {drop!r}")
    chosen = None if symbols is None else _member(Symbols, symbols)
    fractions = preparation.fractions
    options = ReadOptions(label, tuple(drop), length, vocabulary, chosen, fractions)
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, (str, Path)):
        return assemble(raw_from_object(data, options), preparation, type(data).__name__)
    if str(data) in DATASETS:
        row = DATASETS[str(data)]
        as_trained = replace(_text_like(options, like), symbols=options.symbols)
        raw = read_registered(str(data), as_trained, data_dir)
        if preparation.binarization is None and like is None:
            preparation = replace(preparation, binarization=row.binarization)
        return assemble(raw, preparation, str(data), row.reference)
    path = Path(data).expanduser()
    if not path.exists() and _looks_like_a_name(str(data)):
        raise DataError(
            f"unknown data set {str(data)!r}, and no such file",
            hint=nearest(str(data), list(DATASETS)),
        )
    check_file(path)
    streamed = _streamed(path, options, preparation, max_memory)
    if streamed is not None:
        return streamed
    return assemble(read_path(path, _text_like(options, like)), preparation, path.name)


def _text_like(options: ReadOptions, like: Specification | None) -> ReadOptions:
    """Options by which text is read as it was for a trained model."""
    vocabulary = options.vocabulary
    if vocabulary is None or like is None:
        return options
    symbols = Symbols.LINES if like.end_code is not None else vocabulary.kind
    return replace(options, symbols=symbols, length=like.shape[0])


def _streamed(
    path: Path, options: ReadOptions, preparation: Preparation, max_memory: int
) -> Dataset | None:
    """The data set left on disk, if it is too large for memory and its format allows it."""
    if path.suffix == ".npy" and read_npy_header(path).num_bytes > max_memory:
        options.refuse_columns(f"the array {path}")
        source, dequantize = _streamed_array(path, preparation)
    elif path.suffix == ".parquet" and _parquet_bytes(path) > max_memory:
        kinds, kind = preparation.kinds, preparation.kind
        source = ParquetSource(
            path, preparation.like, label=options.label, drop=options.drop, kinds=kinds, kind=kind
        )
        dequantize = False
    else:
        return None
    if preparation.binarization == Binarization.STATIC:
        raise DataError(
            f"expected data that fit in memory for static binarisation, got {path}",
            hint="binarization='dynamic' draws as it reads",
        )
    seed, fractions = preparation.seed, preparation.fractions
    # Ranges of rows, not rows: to choose each row alone would need memory for each.
    chosen = split_blocks(source.pieces, fractions, seed)
    splits: dict[str, Source] = {
        part: source.subset_of_file(pieces) for part, pieces in chosen.items() if len(pieces)
    }
    if dequantize:
        splits = {p: Dequantized(split, seed, STREAMS[p]) for p, split in splits.items()}
    splits = binarize(splits, preparation)
    return Dataset(
        path.name,
        next(iter(splits.values())).spec,
        splits,
        provenance=f"{path.name}, streamed from disk; split {fractions} into train, valid and "
        f"test by blocks at random (seed {seed})",
        label_names=source.label_names if isinstance(source, ParquetSource) else None,
    )


def _streamed_array(path: Path, preparation: Preparation) -> tuple[MemmapSource, bool]:
    reader = NpyReader(path)
    summary = summarize_blocks(reader)
    spec = summary.specification(reader.shape)
    whole = spec.kind is not None and spec.kind.is_discrete
    dequantize = preparation.kind == Kind.REAL and whole
    if preparation.kind is not None and not dequantize:
        spec = with_kind(spec, summary, preparation.kind)
    if preparation.like is not None and not dequantize:
        spec = spec_like(preparation.like, spec, summary)
    return MemmapSource(path, spec), dequantize


def _parquet_bytes(path: Path) -> int:
    metadata = open_parquet(path).metadata
    return 8 * metadata.num_rows * metadata.num_columns


def _looks_like_a_name(text: str) -> bool:
    return "/" not in text and not any(text.lower().endswith(suffix) for suffix in LOADERS)


def _member(choices: type[_Choice], value: str) -> _Choice:
    names = [str(choice) for choice in choices]
    if value not in names:
        raise OptionError(
            f"expected a {choices.__name__.lower()} of {', '.join(names)}, got {value!r}",
            hint=nearest(str(value), names),
        )
    return choices(value)
