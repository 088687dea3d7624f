"""Text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ancestral.core.specification import Kind
from ancestral.data.download import Download
from ancestral.data.loaders.text import DEFAULT_LENGTH, lines, read_plain, tail, windows
from ancestral.data.raw import Raw, ReadOptions, Rows
from ancestral.data.registered.row import Finder, RegisteredSet
from ancestral.data.vocabulary import Vocabulary, as_words

__all__ = ["ROWS"]

_WORDS = 64  # of a window: they reach as far back as a few hundred characters
_GITHUB = "https://raw.githubusercontent.com/karpathy/"


def _shakespeare(find: Finder, options: ReadOptions) -> Raw:
    text = read_plain(find("text/tinyshakespeare.txt"))
    vocabulary = options.vocabulary or Vocabulary.of(text)
    length = options.length or DEFAULT_LENGTH
    codes = vocabulary.encode(text)
    cuts = [int(0.9 * len(codes)), int(0.95 * len(codes))]
    pieces: dict[str, np.ndarray] = dict(
        zip(("train", "valid", "test"), np.split(codes, cuts), strict=True)
    )
    note = (
        f"{len(codes):,} characters, {len(vocabulary)} of them different in the whole text, in "
        f"windows of {length}; the first 90% train, the next 5% "
        "validate, the last 5% test"
    )
    return _running(pieces, length, vocabulary, note)


def _names(find: Finder, options: ReadOptions) -> Raw:
    texts = read_plain(find("text/names.txt")).split()
    codes, vocabulary = lines(texts, options.vocabulary, options.length)
    note = (
        f"{len(texts):,} names, {len(vocabulary)} symbols in all of them, each followed by "
        f"the end symbol up to {codes.shape[1]} symbols; "
        "log p of a row is that of the name with its end for char_rnn and transformer_ar, and "
        "that of the padded row for others"
    )
    raw = _categorical({"all": Rows(codes)}, vocabulary, note)
    return replace(raw, end_code=0)


def _ptb(find: Finder, options: ReadOptions) -> Raw:
    words = {
        part: as_words(read_plain(find(f"text/ptb/ptb.{part}.txt")))
        for part in ("train", "valid", "test")
    }
    vocabulary = options.vocabulary or Vocabulary.of(words["train"], separator=" ")
    length = options.length or _WORDS
    pieces = {part: vocabulary.encode(content) for part, content in words.items()}
    note = (
        f"Penn Treebank, {len(vocabulary):,} words with <eos>, in windows of {length} words; "
        "train, valid and test of the papers"
    )
    return _running(pieces, length, vocabulary, note)


def _running(pieces: dict[str, np.ndarray], length: int, vocabulary: Vocabulary, note: str) -> Raw:
    parts = {part: Rows(windows(piece, length)) for part, piece in pieces.items()}
    raw = _categorical(parts, vocabulary, note)
    return replace(raw, tails={part: tail(piece, length) for part, piece in pieces.items()})


def _categorical(parts: dict[str, Rows], vocabulary: Vocabulary, note: str) -> Raw:
    raw = Raw(parts, Kind.CATEGORICAL, len(vocabulary), vocabulary=vocabulary)
    return replace(raw, provenance=note)


ROWS: dict[str, RegisteredSet] = {
    "tinyshakespeare": RegisteredSet(
        "1.1 million characters of Shakespeare, 65 distinct",
        "char-rnn (Karpathy, 2015)",
        _shakespeare,
        downloads=(
            Download(
                _GITHUB + "char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/"
                "tinyshakespeare/input.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                "text/tinyshakespeare.txt",
            ),
        ),
    ),
    "names": RegisteredSet(
        "32,033 first names, characters",
        "makemore (Karpathy, 2022)",
        _names,
        downloads=(
            Download(
                _GITHUB + "makemore/988aa59e4d8fefa526d06f3b453ad116258398d4/names.txt",
                "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
                "text/names.txt",
            ),
        ),
    ),
    "ptb": RegisteredSet(
        "Penn Treebank, 10,000 words",
        "Recurrent neural network based language model (Mikolov et al., 2010)",
        _ptb,
    ),
}
