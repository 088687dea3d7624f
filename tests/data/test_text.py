"""Text: windows that move, vocabularies, sequences with an end."""

import numpy as np
import pytest
import torch

from ancestral.core import DataError, Kind, OptionError, Specification
from ancestral.data import Symbols, TextWindows, Vocabulary, load_dataset

LENGTH = 8


def _source(num: int = 83) -> TextWindows:
    codes = torch.arange(num)
    cut = num // LENGTH * LENGTH
    spec = Specification(Kind.CATEGORICAL, (LENGTH,), num_levels=num)
    return TextWindows(codes[:cut].reshape(-1, LENGTH), codes[cut:], spec)


def _epoch(source, epoch, start=0, seed=3):
    return [b.x for b in source.batches(4, seed=seed, epoch=epoch, start=start)]


def test_windows_begin_elsewhere_in_each_epoch():
    source = _source()
    beginnings = set()
    for epoch in range(40):
        rows = torch.cat(_epoch(source, epoch))
        assert rows.shape == (10, LENGTH)
        # each row is a piece of the text
        assert torch.equal(rows, rows[:, :1] + torch.arange(LENGTH))
        first = rows[:, 0].sort().values
        # side by side, but for the last, which may be moved back
        assert (first.diff()[:-1] == LENGTH).all()
        assert 0 <= first[0] < LENGTH
        assert first[-1] <= 83 - LENGTH
        beginnings.add(int(first[0]))
    # of 8 beginnings 40 draws miss one or more by chance once in 26
    assert len(beginnings) >= 7


def test_epochs_can_be_resumed_and_repeated():
    source = _source()
    whole = _epoch(source, 5)
    assert all(torch.equal(a, b) for a, b in zip(whole, _epoch(source, 5), strict=True))
    rest = _epoch(source, 5, start=1)
    assert all(torch.equal(a, b) for a, b in zip(whole[1:], rest, strict=True))
    assert not torch.equal(whole[0], _epoch(source, 5, seed=4)[0])


def test_evaluation_sees_fixed_windows():
    source = _source()
    rows = source.rows(slice(None)).x
    assert torch.equal(rows.flatten(), torch.arange(80.0))
    assert torch.equal(source.text, torch.arange(83))
    assert torch.equal(source.to("cpu").text, source.text)
    assert not isinstance(source.subset(slice(0, 2)), TextWindows)


def test_a_text_of_one_window():
    assert torch.equal(_epoch(_source(LENGTH), 0)[0], torch.arange(8.0).unsqueeze(0))


def test_all_symbols_of_a_file_are_in_a_split(tmp_path):
    (tmp_path / "t.txt").write_text("abcdefg" * 30 + "abc")
    data = load_dataset(tmp_path / "t.txt", length=10)
    texts = [data.vocabulary.decode(data.split(p).text) for p in ("train", "valid", "test")]
    assert "".join(texts) == "abcdefg" * 30 + "abc"
    assert len(texts[2]) % 10 == 3


def test_bytes_are_any_file(tmp_path):
    content = bytes(range(256)) * 3
    (tmp_path / "t.txt").write_bytes(content)
    data = load_dataset(tmp_path / "t.txt", symbols="bytes", length=16)
    assert data.spec.num_levels == 256
    codes = torch.cat([data.split(p).text for p in ("train", "valid", "test")])
    assert codes.to(torch.uint8).numpy().tobytes() == content
    assert data.vocabulary.decode(data.vocabulary.encode("naïve ☂")) == "naïve ☂"


def test_words(tmp_path):
    (tmp_path / "t.txt").write_text("a rose is a rose\nis a rose\n" * 20)
    data = load_dataset(tmp_path / "t.txt", symbols="words", length=5)
    assert data.vocabulary.symbols == ("<eos>", "<unk>", "a", "is", "rose")
    assert data.vocabulary.kind is Symbols.WORDS
    text = data.vocabulary.decode(data.train.text[:10])
    assert text == "a rose is a rose\nis a rose\n"


def test_words_are_counted_in_the_training_part_only(tmp_path):
    (tmp_path / "t.txt").write_text("a b a b c " * 20 + "once " + "new new new new " * 5)
    data = load_dataset(tmp_path / "t.txt", symbols="words", length=4)
    assert data.vocabulary.symbols == ("<unk>", "a", "b", "c")
    assert data.vocabulary.decode(data.test.text) == " ".join(["<unk>"] * 13)
    assert "training part" in data.provenance
    whole = load_dataset(tmp_path / "t.txt", symbols="words", length=4, validation=0, test=0)
    assert "new" in whole.vocabulary.symbols
    assert "once" not in whole.vocabulary.symbols
    again = load_dataset(tmp_path / "t.txt", like=data.spec, vocabulary=data.vocabulary)
    assert again.vocabulary == data.vocabulary
    (tmp_path / "t.txt").write_text("all words are other ones here you see")
    with pytest.raises(DataError, match="occur twice in the training part"):
        load_dataset(tmp_path / "t.txt", symbols="words", length=2)


def test_characters_are_said_to_be_those_of_the_whole_file(tmp_path):
    (tmp_path / "t.txt").write_text("abc\n" * 200)
    for symbols in ("characters", "lines"):
        assert "whole file" in load_dataset(tmp_path / "t.txt", symbols=symbols).provenance


def test_rare_words_are_one_symbol():
    vocabulary = Vocabulary.of_words(list("aaabbcd"), most=3)
    assert vocabulary.symbols == ("<unk>", "a", "b")
    assert vocabulary.encode("a d c").tolist() == [1, 0, 0]
    with pytest.raises(DataError, match="3 known symbols, got 'z'"):
        Vocabulary.of("abc").encode("az")


def test_lines_are_data_with_an_end(tmp_path):
    (tmp_path / "n.txt").write_text("ada\nbob\n\neve\ngrace\n" * 10)
    data = load_dataset(tmp_path / "n.txt", symbols="lines")
    assert data.spec.end_code == 0
    assert data.spec.shape == (6,)
    assert Specification.from_dict(data.spec.to_dict()) == data.spec
    rows = {data.vocabulary.decode(row) for row in data.train.rows(slice(None)).x.long()}
    assert rows == {"ada\n\n\n", "bob\n\n\n", "eve\n\n\n", "grace\n"}
    (tmp_path / "m.txt").write_text("ab\n" * 20)
    like = {"like": data.spec, "vocabulary": data.vocabulary}
    again = load_dataset(tmp_path / "m.txt", **like)
    assert again.train.rows(slice(0, 1)).x[0].tolist() == [1, 2, 0, 0, 0, 0]
    (tmp_path / "m.txt").write_text("abbbbbb\n" * 20)
    with pytest.raises(DataError, match="lines of at most 5 characters, got one of 7"):
        load_dataset(tmp_path / "m.txt", **like)


def test_specifications_of_earlier_runs_have_no_end():
    spec = Specification(Kind.CATEGORICAL, (4,), num_levels=3)
    old = {k: v for k, v in spec.to_dict().items() if k != "end_code"}
    assert Specification.from_dict(old) == spec
    with pytest.raises(DataError, match="end symbol among the codes, got 3"):
        Specification(Kind.CATEGORICAL, (4,), num_levels=3, end_code=3)


def test_symbols_are_refused_where_they_say_nothing(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 2)))
    with pytest.raises(DataError, match="expected no option 'symbols'"):
        load_dataset(tmp_path / "a.npy", symbols="words")
    with pytest.raises(DataError, match="expected no option 'symbols'"):
        load_dataset("tinyshakespeare", symbols="words")
    (tmp_path / "t.txt").write_text("ab" * 500)
    with pytest.raises(OptionError, match="symbols of characters, bytes, words, lines"):
        load_dataset(tmp_path / "t.txt", symbols="syllables")
