"""Nats for each symbol, and pictures of text."""

import math

import numpy as np
import pytest
import torch

from ancestral.core import Kind, Specification
from ancestral.data import TensorSource, TextWindows, Vocabulary
from ancestral.distributions import Categorical, site_head
from ancestral.evaluation import (
    Evaluation,
    Material,
    ReportContent,
    Setting,
    compare,
    draw_pictures,
    evaluate,
    write_report,
)
from ancestral.evaluation.symbols import per_symbol
from ancestral.models import AutoregressiveModel
from ancestral.networks.causal import LinearCausal, OneHot, RecurrentCausal, UntilEnd
from ancestral.plots import coloured_text

LETTERS = Vocabulary(("\n", "a", "b", "c"))


def _model(sites: int, end_code: int | None = None) -> AutoregressiveModel:
    """Untrained, with zero output weights: every symbol has probability 1 / 4."""
    network = RecurrentCausal(sites, 4, OneHot(4), hidden_size=5, embedding_size=3)
    torch.nn.init.zeros_(network.output.weight)
    whole = network if end_code is None else UntilEnd(network, end_code)
    return AutoregressiveModel(whole, site_head(Categorical((sites,), 4), sites), (sites,)).eval()


def _running(num: int = 50, length: int = 6) -> TextWindows:
    codes = torch.randint(4, (num,))
    cut = num // length * length
    spec = Specification(Kind.CATEGORICAL, (length,), num_levels=4)
    return TextWindows(codes[:cut].reshape(-1, length), codes[cut:], spec)


def _ended() -> TensorSource:
    spec = Specification(Kind.CATEGORICAL, (4,), num_levels=4, end_code=0)
    return TensorSource(np.array([[1, 0, 0, 0], [2, 3, 1, 0], [1, 1, 0, 0]]), spec)


def test_running_text_is_counted_once_for_each_symbol():
    found = per_symbol(_model(6), _running())
    assert found.nats == pytest.approx(math.log(4), abs=1e-12)
    assert found.bits == pytest.approx(2.0)
    assert (found.num_symbols, found.overlap) == (50, 3)


def test_symbols_after_the_end_do_not_count():
    found = per_symbol(_model(4, end_code=0), _ended())
    assert found.nats == pytest.approx(math.log(4), abs=1e-12)
    assert found.num_symbols == 2 + 4 + 3
    assert found.overlap is None


def test_models_that_pay_for_the_padding_have_no_number_of_symbols():
    assert per_symbol(_model(4), _ended()) is None


def test_models_in_another_order_have_none_of_running_text():
    network = LinearCausal(6, 4, OneHot(4), order=[5, 4, 3, 2, 1, 0])
    model = AutoregressiveModel(network, site_head(Categorical((6,), 4), 6), (6,)).eval()
    assert per_symbol(model, _running()) is None
    assert evaluate(model, None, _running(), setting=Setting("made", "t", "test")).log_prob


def test_bits_per_dimension_do_not_count_padding():
    found = evaluate(_model(4, end_code=0), None, _ended(), setting=Setting("rnn", "t", "test"))
    assert found.bits_per_dim is None
    assert any("padded after their end" in note for note in found.notes)
    entries = found.to_dict()
    assert "bits_per_dim" not in entries
    assert Evaluation.from_dict(entries).bits_per_dim is None
    row = compare({"a": found})[0]
    assert row.bits_per_dim is None
    assert row.to_dict()["log_prob"] == pytest.approx(-9 * math.log(4) / 3)
    padded = evaluate(_model(4), None, _ended(), setting=Setting("fvsbn", "t", "test"))
    assert padded.bits_per_dim == pytest.approx(2.0)
    assert evaluate(_model(6), None, _running(), setting=Setting("a", "t", "test")).bits_per_dim


def test_a_report_does_without_bits_per_dimension(tmp_path):
    found = evaluate(_model(4, end_code=0), None, _ended(), setting=Setting("rnn", "t", "test"))
    write_report(tmp_path / "report.html", ReportContent("names", found))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nats per symbol" in page
    assert "Bits per dimension" not in page


def test_data_that_are_no_text_have_no_such_number():
    spec = Specification(Kind.CATEGORICAL, (4,), num_levels=4)
    assert per_symbol(_model(4), TensorSource(np.zeros((3, 4), dtype=int), spec)) is None


def test_an_evaluation_keeps_it():
    found = evaluate(_model(6), None, _running(), setting=Setting("char_rnn", "t", "test"))
    assert found.per_symbol.nats == pytest.approx(math.log(4))
    again = Evaluation.from_dict(found.to_dict())
    assert again.per_symbol == found.per_symbol
    assert "per_symbol" in found.to_dict()


@pytest.mark.parametrize("end_code", [None, 0])
def test_pictures_of_text(end_code):
    source = _running() if end_code is None else _ended()
    model = _model(source.spec.shape[0], end_code)
    material = Material(source.spec, source.rows(slice(None)), vocabulary=LETTERS)
    pictures = draw_pictures(model, None, material).drawn
    assert [p.name for p in pictures][:2] == ["surprise", "samples"]
    assert "2.00 bits for each" in pictures[0].caption
    texts = [t.get_text() for t in pictures[0].figure.axes[0].texts]
    if end_code is not None:
        assert "".join(texts) == "a↵bca↵aa↵"


def test_words_break_lines_and_letters_of_all_kinds_are_drawn():
    words = ["word "] * 12 + ["end\n"] + ["日本\x00$_^"] + ["x" * 80]
    figure = coloured_text(words, np.linspace(0, 9, len(words)), quantity="bits")
    figure.canvas.draw()
    texts = figure.axes[0].texts
    lines = sorted({round(t.get_position()[1]) for t in texts})
    # 10 words on a line, 2 and an end, six letters, and a word cut to a line's length
    assert len(lines) == 4
    assert all(0 <= t.get_position()[0] <= 52 for t in texts)
    assert "□" in {t.get_text() for t in texts}
