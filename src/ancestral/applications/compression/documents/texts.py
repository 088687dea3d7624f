"""Texts: running characters, bytes or words, and lines each of which is a datum."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from typing import Any

import numpy as np

from ancestral.applications.compression.documents.document import Document, Reading, as_symbols
from ancestral.applications.compression.gaps import Gaps
from ancestral.applications.compression.grids import Grids
from ancestral.core import Specification
from ancestral.data import Vocabulary
from ancestral.data.vocabulary import END_OF_LINE, UNKNOWN

__all__ = ["restore_lines", "restore_text", "text_document"]

_ESCAPE = "surrogateescape"  # bytes that are no UTF-8 become lone surrogates, and back


def text_document(content: bytes, reading: Reading, *, is_running: bool = True) -> Document:
    """A text file as the symbols that a model knows.

    What it does not know, such as a character that its training text did not have, is stored
    beside: where it stands, and what it is. The model sees its likeliest symbol there instead, the
    one of a space or an <unk>.

    Args:
        content: of the file: any bytes, though UTF-8 is what most models expect.
        reading: of the run.
        is_running: whether the model takes a sequence of any length, rather than windows; what
            fills no window is stored beside.
    """
    vocabulary, spec = reading.vocabulary, reading.spec
    assert vocabulary is not None
    if vocabulary.encoding:
        codes = np.frombuffer(content, np.uint8).astype(np.int64)
        return _of_codes(content, codes, (b"", b""), spec, is_running)
    text = content.decode("utf-8", _ESCAPE)
    if spec.end_code is not None:
        return _lines(content, text, vocabulary, spec)
    gaps = b""
    symbols = list(text)
    if vocabulary.separator:
        symbols = _TOKEN.findall(text)
        gaps = _gaps(text, symbols)
    codes, unknown = _codes(symbols, vocabulary)
    return _of_codes(content, codes, (_listed(unknown), gaps), spec, is_running)


def restore_text(
    details: dict[str, Any],
    side: list[bytes],
    symbols: np.ndarray,
    grids: Grids,
    reading: Reading,
    gaps: Gaps | None = None,
) -> bytes:
    """The bytes of the file."""
    del details, grids, gaps
    vocabulary = reading.vocabulary
    assert vocabulary is not None
    symbols = np.concatenate((symbols.ravel(), np.frombuffer(side[2], "<i4").astype(np.int64)))
    if vocabulary.encoding:
        return symbols.astype(np.uint8).tobytes()
    known = ["\n" if symbol == END_OF_LINE else symbol for symbol in vocabulary.symbols]
    found = [known[code] for code in symbols.tolist()]
    for place, symbol in _unlisted(side[0]):
        found[place] = symbol
    text = _with_gaps(found, side[1]) if vocabulary.separator else "".join(found)
    return text.encode("utf-8", _ESCAPE)


def restore_lines(
    details: dict[str, Any],
    side: list[bytes],
    symbols: np.ndarray,
    grids: Grids,
    reading: Reading,
    gaps: Gaps | None = None,
) -> bytes:
    """The bytes of the file."""
    del grids, gaps
    vocabulary, end = reading.vocabulary, reading.spec.end_code
    assert vocabulary is not None
    lines = ["".join(vocabulary.symbols[c] for c in row if c != end) for row in symbols.tolist()]
    for place, line in _unlisted(side[0]):
        lines.insert(place, line)
    return details["end"].join(lines).encode("utf-8", _ESCAPE)


def _of_codes(
    content: bytes,
    codes: np.ndarray,
    side: tuple[bytes, bytes],
    spec: Specification,
    is_running: bool,  # noqa: FBT001
) -> Document:
    tail = codes[:0]
    if not is_running:
        length = spec.shape[0]
        whole = len(codes) // length * length
        codes, tail = codes[:whole].reshape(-1, length), codes[whole:]
    packed = tail.astype("<i4").tobytes()
    return Document(
        "text", content, as_symbols(codes), side=(*side, packed), is_running=is_running
    )


def _lines(content: bytes, text: str, vocabulary: Vocabulary, spec: Specification) -> Document:
    """Each line that the model knows is a row; the others are stored as they are."""
    end = "\r\n" if text.count("\r\n") == text.count("\n") > 0 else "\n"
    position = {symbol: code for code, symbol in enumerate(vocabulary.symbols)}
    position.pop(vocabulary.symbols[spec.end_code or 0], None)
    length = spec.shape[0]
    rows, others = [], []
    for place, line in enumerate(text.split(end)):
        codes = [position.get(symbol, -1) for symbol in line]
        if 0 < len(codes) < length and min(codes) >= 0:
            rows.append(codes + [spec.end_code] * (length - len(codes)))
        else:
            others.append((place, line))
    symbols = np.array(rows, dtype=np.int64).reshape(-1, length)
    side = (_listed(others),)
    return Document("lines", content, as_symbols(symbols), details={"end": end}, side=side)


_TOKEN = re.compile(r"\n|[^\s]+")  # words and ends of lines, as the vocabulary of words has them


def _codes(symbols: list[str], vocabulary: Vocabulary) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """Codes, and which symbols are not known, at their places."""
    words = bool(vocabulary.separator)
    position = {
        "\n" if words and symbol == END_OF_LINE else symbol: code
        for code, symbol in enumerate(vocabulary.symbols)
    }
    instead = position.get(UNKNOWN if words else " ", 0)
    codes = np.array([position.get(symbol, -1) for symbol in symbols], dtype=np.int64)
    places = np.flatnonzero(codes < 0)
    codes[places] = instead
    return codes, [(place, symbols[place]) for place in places.tolist()]


def _gaps(text: str, tokens: list[str]) -> bytes:
    """What stands before, between and after tokens: what does so mostly, and where it is other."""
    found, at = [], 0
    for token in tokens:
        start = text.index(token, at)
        found.append(text[at:start])
        at = start + len(token)
    found.append(text[at:])
    sorts = _sorts(tokens)
    usual = [
        Counter(gap for gap, sort in zip(found, sorts, strict=True) if sort == s).most_common(1)
        for s in range(4)
    ]
    mostly = [most[0][0] if most else "" for most in usual]
    others = [
        (place, gap)
        for place, (gap, sort) in enumerate(zip(found, sorts, strict=True))
        if gap != mostly[sort]
    ]
    return json.dumps([mostly, _listed(others).decode()]).encode()


def _with_gaps(tokens: list[str], packed: bytes) -> str:
    mostly, others = json.loads(packed)
    gaps = [mostly[sort] for sort in _sorts(tokens)]
    for place, gap in _unlisted(others.encode()):
        gaps[place] = gap
    pairs = zip(gaps, [*tokens, ""], strict=True)
    return "".join(part for pair in pairs for part in pair)


def _sorts(tokens: list[str]) -> list[int]:
    """Of each gap: whether a line begins after the token before, and whether one ends with it."""
    ends = [True, *(token == "\n" for token in tokens), True]
    return [2 * a + b for a, b in itertools.pairwise(ends)]


def _listed(found: list[tuple[int, str]]) -> bytes:
    """Strings at places, the places as steps from one to the next."""
    if not found:
        return b""
    places = np.diff([0, *(place for place, _ in found)]).tolist()
    return json.dumps([places, [text for _, text in found]], separators=(",", ":")).encode()


def _unlisted(packed: bytes) -> list[tuple[int, str]]:
    if not packed:
        return []
    steps, texts = json.loads(packed)
    return list(zip(np.cumsum(steps).tolist(), texts, strict=True))
