"""Runs of text: options of files, prompts, what is written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ancestral.cli.app import main
from ancestral.cli.data_choice import DataChoice
from ancestral.cli.opened import open_run
from ancestral.cli.written_text import drawn_text, text_of
from ancestral.core import IncompatibleChoices, Kind, OptionError, Specification
from ancestral.data import Vocabulary

WORDS = "to be or not to be that is the question\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each kind of text, trained for an instant."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "t.txt").write_text(WORDS * 40)
    (folder / "names.txt").write_text("".join(f"{a}{b}\n" for a in "xyz" for b in "abcdefgh") * 9)
    made = {}
    for symbols, file in (
        ("characters", "t.txt"),
        ("bytes", "t.txt"),
        ("words", "t.txt"),
        ("lines", "names.txt"),
    ):
        made[symbols] = folder / symbols
        words = ["fit", "char_rnn", str(folder / file), "--symbols", symbols, "--epochs", "2"]
        words += ["--hidden-size", "8", "--quiet", "--no-report", "--out", str(made[symbols])]
        words += [] if symbols == "lines" else ["--length", "10"]
        assert main(words) == 0
    return made


@pytest.mark.parametrize("symbols", ["characters", "bytes", "words", "lines"])
def test_a_run_reads_other_text_as_its_own(symbols, runs, tmp_path, capsys):
    other = tmp_path / "other.txt"
    other.write_text("xa\nyb\nzc\n" * 20 if symbols == "lines" else WORDS * 30)
    assert main(["evaluate", str(runs[symbols]), str(other), "--split", "train", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["per_symbol"]["nats"] > 0
    assert found["per_symbol"]["overlap"] == (None if symbols == "lines" else 5)
    if symbols == "lines":
        assert found["per_symbol"]["symbols"] == 3 * 48


@pytest.mark.parametrize("symbols", ["characters", "bytes", "words", "lines"])
def test_samples_are_text(symbols, runs, tmp_path):
    out = tmp_path / "s.txt"
    assert main(["sample", str(runs[symbols]), "--out", str(out), "--num", "5"]) == 0
    text = out.read_text()
    if symbols == "lines":
        lines = text.removesuffix("\n").split("\n")
        assert len(lines) == 5
        assert set("".join(lines)) <= set("xyzabcdefgh")
    else:
        assert text.count("-" * 40) == 4
        assert "<eos>" not in text


@pytest.mark.parametrize(
    ("symbols", "prompt", "known"),
    [("characters", "not to", 6), ("bytes", "é", 2), ("words", "not to", 2), ("lines", "x", 1)],
)
def test_prompts_come_first(symbols, prompt, known, runs):
    run = open_run(runs[symbols])
    drawn = drawn_text(run, 3, 0, prompt=prompt).x.numpy()
    assert drawn.shape == (3, 3 if symbols == "lines" else 10)
    vocabulary = run.text.vocabulary
    assert [vocabulary.decode(row[:known].astype(int)) for row in drawn] == [prompt] * 3
    again = drawn_text(run, 3, 0, prompt=prompt).x.numpy()
    assert np.array_equal(drawn, again)


def test_text_may_be_longer_than_a_window(runs):
    run = open_run(runs["characters"])
    drawn = drawn_text(run, 2, 0, prompt="to be", length=37).x
    assert drawn.shape == (2, 37)
    assert drawn_text(run, 2, 0, prompt=WORDS[:12]).x.shape == (2, 22)


def test_prompts_that_cannot_be_are_refused_with_a_hint(runs):
    with pytest.raises(OptionError, match="characters that the model knows, got 'X'") as caught:
        drawn_text(open_run(runs["characters"]), 1, 0, prompt="toX")
    assert "it knows" in caught.value.hint
    words = open_run(runs["words"])
    known = words.text.vocabulary
    drawn = drawn_text(words, 1, 0, prompt="to be king").x
    assert known.decode(drawn[0, :3].long().tolist()) == "to be <unk>"
    with pytest.raises(OptionError, match="fewer than 4 symbols, got 5"):
        drawn_text(open_run(runs["characters"]), 1, 0, prompt="to be", length=4)
    with pytest.raises(OptionError, match="fewer than 3 symbols, got 3"):
        drawn_text(open_run(runs["lines"]), 1, 0, prompt="xab")
    with pytest.raises(OptionError, match="expected no --length, got 9"):
        drawn_text(open_run(runs["lines"]), 1, 0, length=9)


def test_prompts_are_for_text(tmp_path):
    out = str(tmp_path / "run")
    words = ["fit", "fvsbn", "digits", "--epochs", "1", "--quiet", "--no-report", "--out", out]
    assert main([*words, "--binarization", "static"]) == 0
    with pytest.raises(IncompatibleChoices, match="run of text for --prompt"):
        drawn_text(open_run(tmp_path / "run"), 1, 0, prompt="a")


def test_text_of_rows():
    letters = Vocabulary(("\n", "a", "b"))
    ended = Specification(Kind.CATEGORICAL, (3,), num_levels=3, end_code=0)
    rows = np.array([[1.0, 0, 0], [0, 0, 0], [1, 2, 1]])
    assert text_of(rows, letters, ended) == "a\n\naba\n"
    plain = Specification(Kind.CATEGORICAL, (3,), num_levels=3)
    assert text_of(rows[:1], letters, plain) == "a\n\n\n"


def test_the_choice_of_symbols_is_kept():
    choice = DataChoice("t.txt", length=9, text_symbols="words")
    assert DataChoice.from_dict(choice.to_dict()).text_symbols == "words"
