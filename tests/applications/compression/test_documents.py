"""Files taken apart and put together again, byte for byte."""

import io
import json
import wave
import zipfile

import numpy as np
import pytest

from ancestral.applications.compression.documents import (
    FORMS,
    Reading,
    array_document,
    sound_document,
    table_document,
    text_document,
)
from ancestral.applications.compression.gaps import Gaps, gaps_of
from ancestral.applications.compression.grids import Decimals, Fractions, Whole
from ancestral.applications.compression.packing import pack, unpack
from ancestral.core import Column, DataError, Kind, ShapeError, Specification
from ancestral.data import Vocabulary

COLUMNS = (
    Column("x", Kind.REAL),
    Column("c", Kind.CATEGORICAL, 3, ("no", "yes", "may, be")),
    Column("k", Kind.COUNT),
    Column("b", Kind.BINARY),
    Column("g", Kind.LEVELS, 5),
    Column("y", Kind.REAL),
)
TABLE = Reading(Specification(None, (6,), columns=COLUMNS, missing=True))
LETTERS = Vocabulary.of("abcdefghijklmnopqrstuvwxyz \n")
WORDS = Vocabulary(("<eos>", "<unk>", "a", "is", "rose"), " ")
LINES = Vocabulary(("\n", *"abc"))


def text_reading(vocabulary, length=8, end_code=None):
    levels = len(vocabulary)
    spec = Specification(Kind.CATEGORICAL, (length,), num_levels=levels, end_code=end_code)
    return Reading(spec, vocabulary)


def side_of(document, reading):
    """Bytes of side information; that the content comes back is checked."""
    details = json.loads(json.dumps(document.details))
    side = unpack(pack(document.side))
    symbols = document.symbols.numpy()
    gaps = document.gaps
    if gaps is not None:
        gaps = Gaps.from_bytes(gaps.to_bytes(), len(symbols), symbols.shape[1:])
        assert (symbols[~gaps.observed] == gaps.filled[~gaps.observed].numpy()).all()
    found = FORMS[document.form].restore(details, side, symbols, document.grids, reading, gaps)
    assert found == document.content
    return len(pack(document.side))


def test_quotes_open_a_cell_only_where_it_begins():
    from ancestral.applications.compression.documents.spans import layout_of

    text = 'what,size\n5" pipe,0.1\n "6"" pipe, long\n",0.2\nx "y", "3"z\n"never,closed'
    with pytest.raises(DataError, match="row 5"):
        layout_of(text, "t.csv")  # the last cell never ends
    layout = layout_of(text[: text.index('"never')], "t.csv")
    cells = [[text[a:b] for a, b in row] for row in layout.rows]
    assert cells == [
        ['5" pipe', "0.1"],
        [' "6"" pipe, long\n"', "0.2"],
        ['x "y"', ' "3"z'],
    ]
    table = Specification(
        None,
        (2,),
        columns=(
            Column("what", Kind.CATEGORICAL, 2, ("nail", '5" pipe')),
            Column("size", Kind.REAL),
        ),
    )
    content = b'what,size\n5" pipe,0.1\nnail,0.2\n5" pipe,0.3\n'
    document = table_document(content, Reading(table), "t.csv")
    assert document.symbols.tolist() == [[1, 1], [0, 2], [1, 3]]
    side_of(document, Reading(table))


@pytest.mark.parametrize(
    ("cells", "grid"),
    [
        ([f"{k:05d}" for k in range(40)], Fractions),
        ([f"{k / 8:06.2f}" for k in range(40)], Fractions),
        ([f"{1.7**k * (-1) ** k * 1e-5:.3e}" for k in range(40)], Decimals),
        ([f"{1.3**k:.5e}" for k in range(40)] + ["0.00000e+00", "-1.0e-250"], Decimals),
        (["9" * 5000, "1", "2"], Fractions),
    ],
)
def test_usual_ways_of_writing_numbers_leave_nothing_beside(cells, grid):
    spec = Specification(None, (1,), columns=(Column("x", Kind.REAL),))
    content = ("x\n" + "\n".join(cells) + "\n").encode()
    document = table_document(content, Reading(spec), "t.csv")
    side_of(document, Reading(spec))
    found = document.grids.of(0)
    assert isinstance(found, grid | Whole)
    odd = [cell for cell in cells if len(cell) > 1000 or cell == "-1.0e-250"]
    missing = 0 if document.gaps is None else int((~document.gaps.observed).sum())
    assert missing == len(odd)
    symbols = document.symbols.flatten()
    numbers = found.number(symbols.numpy())
    expected = [float(cell) for cell in cells if cell not in odd]
    seen = slice(None) if document.gaps is None else document.gaps.seen
    assert numbers[seen] == pytest.approx(expected, rel=1e-14)
    every = np.arange(found.low, min(found.high, found.low + 30_000) + 2)
    edges = found.edge(every)
    assert (np.diff(edges) > 0).all()
    inside = found.number(every[:-1])
    assert ((edges[:-1] < inside) & (inside < edges[1:])).all()


def test_gaps_are_told_in_few_bytes():
    rng = np.random.default_rng(0)
    for observed, most in (
        (rng.random((3000, 8)) < 0.5, 3000 + 120),
        (rng.random((3000, 8)) < 0.01, 260 + 120),
        (np.arange(24_000).reshape(3000, 8) % 8 < 4, 200),
    ):
        symbols = rng.integers(0, 9, (3000, 8))
        gaps = gaps_of(symbols, observed)
        content = pack([gaps.to_bytes()])
        assert len(content) < most
        again = Gaps.from_bytes(unpack(content)[0], 3000, (8,))
        assert (again.observed.numpy() == observed).all()
        assert (again.guess == gaps.guess).all()
        assert (symbols[~observed] == gaps.filled.numpy()[~observed]).all()
    assert gaps_of(symbols, np.ones_like(observed)) is None


TEXTS = [
    b"to be or not to be",
    b"",
    b"\n",
    b"To be\r\nor not\xff\xfe to \x00 be",
    "caf\u00e9 \u2028 \U0001f600\n".encode(),
    bytes(range(256)),
]


@pytest.mark.parametrize("content", TEXTS)
@pytest.mark.parametrize("is_running", [True, False])
@pytest.mark.parametrize("vocabulary", [LETTERS, Vocabulary.of_bytes()], ids=["letters", "bytes"])
def test_any_bytes_are_a_text(content, is_running, vocabulary):
    reading = text_reading(vocabulary)
    document = text_document(content, reading, is_running=is_running)
    side_of(document, reading)
    assert int(document.symbols.max() if document.symbols.numel() else 0) < len(vocabulary)


@pytest.mark.parametrize(
    "content",
    [
        *TEXTS,
        b" a rose is a rose \n is a <unk> \n",
        b"a  rose\tis\n\n\n a <eos> b\r\nx",
        b"  \n \x0b a \n",
    ],
)
def test_words_keep_what_stands_between_them(content):
    reading = text_reading(WORDS)
    side_of(text_document(content, reading), reading)


def test_a_regular_text_needs_no_side_information():
    reading = text_reading(WORDS)
    small = side_of(text_document(b" a rose is a rose \n" * 5, reading), reading)
    large = side_of(text_document(b" a rose is a rose \n" * 500, reading), reading)
    assert large == small
    reading = text_reading(LETTERS)
    assert side_of(text_document(b"all is known here\n" * 50, reading), reading) == 1


@pytest.mark.parametrize(
    ("content", "num_rows"),
    [
        (b"abc\nb\nccccc\n", 3),
        (b"abc\r\nb\r\n", 2),
        (b"abcabcabcabc\n\nxyz\nab", 1),
        (b"", 0),
        (b"\n\n", 0),
        (b"ab\ncd\r\nab", 2),
    ],
)
def test_lines_that_the_model_does_not_know_are_kept(content, num_rows):
    reading = text_reading(LINES, end_code=0)
    document = text_document(content, reading)
    side_of(document, reading)
    assert len(document.symbols) == num_rows


def rows_of_table(number=120):
    rng = np.random.default_rng(0)
    for i in range(number):
        category = ("no", "yes", '"may, be"')[rng.integers(3)]
        first = f"{rng.normal():.2f},{category},name {i},{rng.poisson(4)},{rng.integers(2)}"
        yield f"{first},{rng.integers(5)},{rng.normal()!r}"


HEAD = "x,c,label,k,b,g,y"
ODD = ['-0.0,?,"quoted ""x, ",,2,9,1e400', " 7,zzz,n,-3,1.0,2.5,nan", "+1,no,,1e3,01,1,.5"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("tail", ["", "\n", "\n\n  \n"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n"])
def test_tables_come_back_with_all_their_oddities(end, tail, start):
    text = start + end.join([HEAD, *rows_of_table(), *ODD]) + tail
    document = table_document(text.encode(), TABLE, "t.csv")
    side_of(document, TABLE)
    assert document.symbols.shape == (123, 6)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(separator):
    rows = [row.replace('"may, be"', "yes").replace(",", separator) for row in rows_of_table()]
    text = "\n".join([HEAD.replace(",", separator), *rows])
    side_of(table_document(text.encode(), TABLE, "t.csv"), TABLE)


def test_columns_may_stand_in_another_order():
    rows = [",".join(reversed(row.split(","))) for row in rows_of_table() if '"' not in row]
    head = ",".join(reversed(HEAD.split(",")))
    text = "\n".join([head, *rows]) + "\n"
    document = table_document(text.encode(), TABLE, "t.csv")
    side_of(document, TABLE)
    assert int(document.symbols[:, 3].max()) == 1


def one_column(cells):
    reading = Reading(Specification(Kind.REAL, (1,), columns=(Column("x", Kind.REAL),)))
    text = "\n".join(["x", *cells]) + "\n"
    document = table_document(text.encode(), reading, "t.csv")
    return side_of(document, reading), document.grids.cells[0]


@pytest.mark.parametrize(
    "write",
    [
        lambda x: f"{x:.3f}",
        lambda x: f"{x:.0f}",
        lambda x: repr(round(x, 3)),
        lambda x: f"{round(x, 2):g}",
        repr,
        lambda x: f"{x:.18e}",
        lambda x: f"{x:.6e}",
        lambda x: f" {x:.1f}",
        lambda x: f'"{x:.1f}"',
    ],
    ids=["3f", "0f", "repr3", "g", "repr", "18e", "6e", "blank", "quotes"],
)
def test_numbers_are_written_as_they_were(write):
    """However numbers are written, as long as it is one way: hardly anything is to be kept."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 30, 400)
    few, _ = one_column([write(float(x)) for x in values[:50]])
    many, _ = one_column([write(float(x)) for x in values])
    assert many < few + 40


def test_the_grid_of_a_column_is_its_decimals():
    _, grid = one_column(["1.5", "2.25", "-3.00"])
    assert (grid.low, grid.high, grid.denominator) == (-300, 225, 100)


def test_a_table_of_a_header_alone():
    document = table_document(b"x,c,k,b,g,y\n", TABLE, "t.csv")
    side_of(document, TABLE)
    assert len(document.symbols) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,c\n1,no\n", "expected a column 'k'"),
        (b"x,c,k,b,g,y\n1,no,2\n", "expected 6 cells in row 2"),
        (b"\n\n", "expected rows"),
        (b"x,\xff\n", "UTF-8"),
        (b"x,\x00\n", "byte 0"),
        (b"\x1f\x8b123", "gunzip"),
    ],
)
def test_what_is_no_such_table_is_refused(content, message):
    with pytest.raises(DataError) as caught:
        table_document(content, TABLE, "t.csv")
    assert message in str(caught.value)


SOUND = Reading(Specification(Kind.LEVELS, (64,), num_levels=256))


def sound(channels=1, width=2, number=900, extra=b"", coarse=1):
    rng = np.random.default_rng(0)
    hum = np.sin(np.arange(number * channels) / 20) * 20000 + rng.normal(0, 500, number * channels)
    samples = (hum / coarse).astype("<i2") * coarse if width == 2 else (hum / 256 + 128)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(8000)
        out.writeframes(samples.astype("<i2" if width == 2 else np.uint8).tobytes())
    return file.getvalue() + extra


@pytest.mark.parametrize("is_running", [True, False])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("width", [1, 2])
def test_sounds_come_back_sample_for_sample(is_running, channels, width):
    content = sound(channels, width, extra=b"LIST\x04\0\0\0abcd")
    document = sound_document(content, SOUND, "s.wav", 8000, is_running=is_running)
    side_of(document, SOUND)
    assert document.symbols.numel() == (900 * channels if is_running else 896 * channels)


def test_eight_bits_written_in_sixteen_need_little_beside():
    fine, coarse = (
        side_of(sound_document(sound(coarse=c), SOUND, "s", None, is_running=True), SOUND)
        for c in (1, 256)
    )
    assert coarse < 0.3 * fine


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("level", [1, 6, 9])
def test_archives_of_sounds_come_back(method, level):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method, compresslevel=level) as archive:
        archive.writestr("a/1.wav", sound(number=300))
        archive.writestr("readme.txt", "words " * 50)
        archive.writestr("b/2.WAV", sound(2, number=200, coarse=256))
        archive.writestr("b/3.wav", sound(width=1, number=200))
    document = sound_document(file.getvalue(), SOUND, "s.zip", 8000, is_running=True)
    side_of(document, SOUND)
    assert document.symbols.numel() == 700


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RIFF", "PCM"),
        (b"PK\x03\x04", "zip archive"),
        (sound()[:500], "bytes of sound"),
        (sound(number=0), "expected samples"),
    ],
)
def test_what_is_no_sound_is_refused(content, message):
    with pytest.raises(DataError) as caught:
        sound_document(content, SOUND, "s", None, is_running=True)
    assert message in str(caught.value)


def test_sounds_of_another_rate_and_too_short_ones_are_refused():
    with pytest.raises(DataError, match="16000 Hz"):
        sound_document(sound(), SOUND, "s", 16000, is_running=True)
    with pytest.raises(ShapeError, match="at least 64 samples"):
        sound_document(sound(number=20), SOUND, "s", None, is_running=False)


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i4", "i8", "f2", "f4", ">f8", "f8"])
def test_arrays_keep_type_and_shape(dtype):
    spec = Specification(Kind.REAL, (3, 2), missing=True)
    array = (np.random.default_rng(0).normal(0, 40, (20, 3, 2))).astype(dtype)
    document = array_document(array, spec)
    side_of(document, Reading(spec))


def test_gaps_zeros_below_zero_and_the_bits_of_a_nan_are_kept():
    spec = Specification(Kind.REAL, (2,), missing=True)
    array = np.array([[1.5, np.nan], [-0.0, 0.0], [np.nan, 2.0]])
    array.view(np.uint64)[2, 0] ^= 1
    side_of(array_document(array, spec), Reading(spec))


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files_come_back_as_files(order):
    spec = Specification(Kind.BINARY, (4,))
    array = np.asarray(np.random.default_rng(0).integers(0, 2, (30, 4)), order=order)
    file = io.BytesIO()
    np.save(file, array)
    document = array_document(np.load(io.BytesIO(file.getvalue())), spec, file=file.getvalue())
    side_of(document, Reading(spec))


def test_an_array_of_something_else_is_refused():
    with pytest.raises(DataError, match="complex128"):
        array_document(np.zeros((2, 3), complex), Specification(Kind.REAL, (3,)))
