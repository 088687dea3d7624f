"""Binary data of the density-estimation benchmarks, with the splits of the papers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ancestral.core.specification import Kind
from ancestral.data.loaders.npz import load_arrays, raw_from_arrays
from ancestral.data.raw import Raw, ReadOptions, Rows
from ancestral.data.registered.row import Finder, RegisteredSet

__all__ = ["ROWS"]

_TWENTY = "Learning Markov network structure with decision trees (Lowd & Davis, 2010)"
_NADE = "The neural autoregressive distribution estimator (Larochelle & Murray, 2011)"
_SPLIT = "train, valid and test of the papers"


def _read(
    find: Finder,
    options: ReadOptions,
    *,
    file: str,
    note: str,
    shape: tuple[int, ...] | None = None,
) -> Raw:
    raw = raw_from_arrays(load_arrays(find(f"binary/{file}.npz")), file)
    parts = raw.parts
    if shape is not None:
        parts = {p: Rows(rows.values.reshape(-1, *shape)) for p, rows in parts.items()}
    return replace(raw, parts=parts, kind=Kind.BINARY, provenance=f"{file}; {note}")


def _row(
    title: str,
    reference: str,
    file: str,
    *,
    note: str = _SPLIT,
    shape: tuple[int, ...] | None = None,
) -> RegisteredSet:
    return RegisteredSet(title, reference, partial(_read, file=file, note=note, shape=shape))


ROWS: dict[str, RegisteredSet] = {
    "nltcs": _row("16 answers on disability in old age", _TWENTY, "nltcs"),
    "baudio": _row("100 musicians a person listened to or not", _TWENTY, "baudio"),
    "bnetflix": _row("100 films a person rated or not", _TWENTY, "bnetflix"),
    "accidents": _row("111 attributes of traffic accidents", _TWENTY, "accidents"),
    "pumsb-star": _row("163 answers of a census", _TWENTY, "pumsb_star"),
    "dna": _row("180 bits: splice junctions, 60 bases", _TWENTY, "dna"),
    "dna-nade": _row(
        "dna in the split of the NADE papers",
        _NADE,
        "dna_nade",
        note="train, valid and test of "
        "the NADE papers: the training rows of dna, divided differently",
    ),
    "mushrooms": _row("112 bits: attributes of mushrooms", _NADE, "mushrooms"),
    "nips": _row("500 words of NIPS papers, there or not", _NADE, "nips"),
    "adult": _row(
        "123 bits: attributes of persons in a census",
        _NADE,
        "adult",
        note="train, valid and test of the papers; test rows in another order",
    ),
    "bbc": _row("1058 words of news articles, there or not", _TWENTY, "bbc"),
    "connect4": _row(
        "126 bits: positions of Connect Four",
        _NADE,
        "connect4_trainvalid",
        note="train and valid of the papers; their test rows are not here",
    ),
    "ocr-letters": _row(
        "16x8 handwritten letters",
        _NADE,
        "ocr_letters_validtest",
        note="valid and test of the papers; their training rows are not here",
        shape=(16, 8),
    ),
}
