"""Compressed files: whatever happens to them is noticed."""

import numpy as np
import pytest

from ancestral.applications.compression.container import FORMAT_VERSION, Container, CorruptFile
from ancestral.applications.compression.packing import pack, png_size, rivals, unpack


@pytest.fixture
def data():
    words = np.arange(1, 9, dtype=np.uint32) * 0x01234567
    return Container({"rows": 3, "recipe": "made"}, b"side", words).to_bytes()


def test_there_and_back(data):
    found = Container.from_bytes(data)
    assert found.header == {"rows": 3, "recipe": "made"}
    assert found.side == b"side"
    assert found.words[0] == 0x01234567


def test_any_flipped_bit_is_noticed(data):
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            with pytest.raises(CorruptFile) as caught:
                Container.from_bytes(bytes(damaged))
            assert caught.value.hint


def test_any_cut_is_noticed(data):
    for size in range(len(data)):
        with pytest.raises(CorruptFile, match=r"cut off|another or a damaged"):
            Container.from_bytes(data[:size])
    with pytest.raises(CorruptFile, match="changed"):
        Container.from_bytes(data + b"\0")


def test_parts_that_change_places_are_noticed(data):
    swapped = data[:-8] + data[-4:] + data[-8:-4]
    with pytest.raises(CorruptFile, match="checksum"):
        Container.from_bytes(swapped)


def test_another_version_is_named(data):
    other = data[:6] + (FORMAT_VERSION + 1).to_bytes(2, "little") + data[8:]
    with pytest.raises(CorruptFile, match=f"format version {FORMAT_VERSION}, got"):
        Container.from_bytes(other)


@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04" + bytes(99), b"\x89PNG\r\n\x1a\n"])
def test_other_files_are_refused(content):
    with pytest.raises(CorruptFile, match="`ancestral compress` wrote"):
        Container.from_bytes(content)


@pytest.mark.parametrize(
    "parts", [[], [b""], [b"", b""], [b"a" * 1000, b"", b"bc"], [bytes(range(256)) * 9]]
)
def test_packing(parts):
    packed = pack(parts)
    assert unpack(packed) == parts
    assert len(packed) <= sum(map(len, parts)) + 8 * len(parts) + 2


def test_yardsticks():
    sizes = rivals(b"to be or not to be " * 200)
    assert set(sizes) == {"gzip", "bz2", "xz"}
    assert max(sizes.values()) < 200
    noise = np.random.default_rng(0).integers(0, 2, (100, 28, 28)).astype(np.uint8)
    # a bit a pixel, and nothing to gain
    assert 0.95 < png_size(noise) * 8 / noise.size < 1.2
    assert png_size(np.zeros((7, 5, 4, 3), np.uint8)) < 200
