"""From what a loader found to a `Dataset`: split, kind, tensors, binarisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ancestral.core.errors import DataError, ShapeError
from ancestral.core.specification import Kind, Specification
from ancestral.data.binarization import (
    Binarization,
    DynamicallyBinarized,
    statically_binarized,
)
from ancestral.data.dataset import Dataset
from ancestral.data.dequantization import Dequantized
from ancestral.data.inference import check_fits, summarize, with_kind
from ancestral.data.numbers import NumberSummary
from ancestral.data.raw import Raw, Rows
from ancestral.data.source import Source
from ancestral.data.splits import Fractions, split_in_order, split_rows
from ancestral.data.tables import encode_table, infer_table
from ancestral.data.tensor_source import TensorSource
from ancestral.data.text_windows import TextWindows

__all__ = ["STREAMS", "Preparation", "assemble", "binarize", "spec_like"]

STREAMS = {"train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True)
class Preparation:
    """What a person can ask of any data.

    Args:
        kind: of every cell; found from the values if None.
        kinds: of some columns, by name.
        binarization: of grey values; the data set's own choice if None.
        fractions: of rows that validate and test, where the data bring no split.
        seed: of the split and of fixed draws.
        like: the specification of a trained model, by which the rows are to be read.
    """

    kind: Kind | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    binarization: Binarization | None = None
    fractions: Fractions = field(default_factory=Fractions)
    seed: int = 0
    like: Specification | None = None


def assemble(raw: Raw, preparation: Preparation, name: str, reference: str = "") -> Dataset:
    """A data set in memory."""
    # Before the split, which reorders rows: a column that counts them must still look so.
    spec, dequantize = _judge(raw, preparation)
    parts, split_text = _split(raw, preparation)
    sources: dict[str, Source] = {
        part: TensorSource(_encoded(rows, spec), spec, labels=rows.labels)
        for part, rows in parts.items()
    }
    if raw.tails is not None:
        # the rows of "all" were cut in order, so that its tail follows the last of the parts
        tails = (
            {**raw.tails, list(parts)[-1]: raw.tails["all"]} if "all" in raw.tails else raw.tails
        )
        sources = {
            part: TextWindows(
                torch.from_numpy(rows.values),
                torch.from_numpy(tails.get(part, rows.values[:0].ravel())),
                spec,
            )
            for part, rows in parts.items()
        }
    if dequantize:
        sources = {p: Dequantized(s, preparation.seed, STREAMS[p]) for p, s in sources.items()}
    sources = binarize(sources, preparation)
    spec = next(iter(sources.values())).spec
    text = [raw.provenance, split_text]
    text += [f"binarisation {spec.binarization}"] if spec.binarization else []
    return Dataset(
        name,
        spec,
        sources,
        provenance="; ".join(t for t in text if t),
        reference=reference,
        label_names=raw.label_names,
        vocabulary=raw.vocabulary,
        sample_rate=raw.sample_rate,
        lengths=raw.lengths,
    )


def binarize(sources: Mapping[str, Source], preparation: Preparation) -> dict[str, Source]:
    """The splits with their grey values drawn, as asked, or as `like` was drawn."""
    choice = preparation.binarization
    if choice is None and preparation.like is not None:
        choice = _as_before(preparation.like)
    if choice in (None, Binarization.NONE):
        return dict(sources)
    maker = DynamicallyBinarized if choice == Binarization.DYNAMIC else statically_binarized
    seed = preparation.seed
    return {
        p: s if s.spec.kind == Kind.BINARY else maker(s, seed, STREAMS[p])
        for p, s in sources.items()
    }


def _split(raw: Raw, preparation: Preparation) -> tuple[dict[str, Rows], str]:
    """The parts, and how they came to be."""
    parts, seed = dict(raw.parts), preparation.seed
    fractions = preparation.fractions
    if "all" in parts:
        rows = parts["all"]
        if raw.in_order:
            numbers, how = split_in_order(len(rows), fractions), "in order"
        else:
            numbers = split_rows(len(rows), fractions, seed, groups=raw.groups)
            how = f"at random (seed {seed})"
            how += " by recording" if raw.groups is not None else ""
        parts = {part: rows.take(chosen) for part, chosen in numbers.items() if len(chosen)}
        return parts, f"split {fractions} into train, valid and test, {how}"
    if "valid" not in parts and "test" in parts and "train" in parts and fractions.validation:
        alone = Fractions(validation=fractions.validation, test=0.0)
        numbers = split_rows(len(parts["train"]), alone, seed)
        train = parts["train"]
        taken = {part: train.take(numbers[part]) for part in ("train", "valid")}
        share = f"{100 * fractions.validation:g}%"
        return {**taken, "test": parts["test"]}, (
            f"{share} of the training rows taken at random (seed {seed}) to validate"
        )
    return parts, ""


def _judge(raw: Raw, preparation: Preparation) -> tuple[Specification, bool]:
    """What the rows are, and whether they are whole numbers to be taken as real."""
    is_table = any(not isinstance(rows.values, np.ndarray) for rows in raw.parts.values())
    return (_judge_table if is_table else _judge_arrays)(raw, preparation)


def _judge_arrays(raw: Raw, preparation: Preparation) -> tuple[Specification, bool]:
    arrays = [rows.values for rows in raw.parts.values()]
    if preparation.kinds:
        raise DataError(
            f"expected a table for kinds of columns, got an array: {list(preparation.kinds)}",
            hint="arrays have one kind: kind=...",
        )
    for array in arrays:
        if array.ndim < 2:
            raise ShapeError(
                f"expected an array of rows, [rows, ...], got shape {list(array.shape)}",
                hint="a single column has shape [rows, 1]",
            )
    summary = summarize(arrays)
    shape = arrays[0].shape[1:]
    spec = summary.specification(shape)
    if raw.kind is not None:
        spec = with_kind(spec, summary, raw.kind, raw.num_levels)
        reason = f"{raw.kind}, as the source of the data says"
        spec = replace(spec, reason=reason, end_code=raw.end_code)
    dequantize = preparation.kind == Kind.REAL and summary.all_integers and _drawn(spec)
    if preparation.kind is not None and not dequantize:
        given = raw.num_levels if preparation.kind in (Kind.CATEGORICAL, Kind.LEVELS) else None
        spec = with_kind(spec, summary, preparation.kind, given)
    if preparation.like is not None and not dequantize:
        spec = spec_like(preparation.like, spec, summary)
    return spec, dequantize


def _judge_table(raw: Raw, preparation: Preparation) -> tuple[Specification, bool]:
    import pandas as pd

    frames = [rows.values for rows in raw.parts.values()]
    if preparation.like is None:
        kinds, kind = {**raw.kinds, **preparation.kinds}, preparation.kind or raw.kind
        return infer_table(pd.concat(frames, ignore_index=True), kinds, kind), False
    spec = preparation.like
    if spec.columns is None:
        raise DataError(f"expected an array of rows {list(spec.shape)}, got a table")
    if not spec.missing and any(np.isnan(encode_table(f, spec.columns)).any() for f in frames):
        raise DataError(
            "expected complete rows, got missing cells",
            hint="the model was trained on complete rows; drop or fill the rows with gaps",
        )
    return spec, False


def _encoded(rows: Rows, spec: Specification) -> np.ndarray:
    if isinstance(rows.values, np.ndarray):
        return rows.values
    assert spec.columns is not None
    return encode_table(rows.values, spec.columns)


def spec_like(like: Specification, spec: Specification, summary: NumberSummary) -> Specification:
    """The specification by which a trained model reads these rows."""
    if like.binarization and spec.kind != Kind.BINARY:
        if spec.shape != like.shape:
            check_fits(like, summary, spec.shape)
        return spec  # still grey; `binarize` draws them
    check_fits(like, summary, spec.shape)
    return like


def _drawn(spec: Specification) -> bool:
    return spec.kind in (Kind.BINARY, Kind.LEVELS, Kind.COUNT)


def _as_before(like: Specification) -> Binarization | None:
    return next((b for b in Binarization if like.binarization.startswith(f"{b}:")), None)
