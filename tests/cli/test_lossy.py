"""Bits-back and lossy messages, as a person uses them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ancestral.cli.app import main

ROWS = 150


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Small runs: of binary pictures, of a table, and one without latent variables."""
    folder = tmp_path_factory.mktemp("lossy")
    rng = np.random.default_rng(0)
    lines = ["height,visits,colour"]
    for i in range(90):
        height = f"{170 + 10 * rng.standard_normal():.1f}"
        lines.append(f"{height},{rng.poisson(60)},{'red' if i % 3 else 'blue'}")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    quick = ["--epochs", "1", "--quiet", "--no-report"]
    small = ["--hidden-size", "16", "--num-blocks", "1", "--latent-size", "3"]
    pixels = ["digits", "--binarization", "static"]
    table = str(folder / "people.csv")
    for name, words in {
        "pixels": ["vae", *pixels, *small],
        "table": ["vae", table, *small],
        "none": ["fvsbn", *pixels],
    }.items():
        assert main(["fit", *words, *quick, "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture(autouse=True)
def _single(single_precision):
    """As outside of tests."""


def _compress(folder, run, out, *more):
    num = [] if run == "table" else ["--num", str(ROWS)]
    data = [str(folder / "people.csv")] if run == "table" else ["digits"]
    words = ["compress", str(folder / run), *data, "--out", str(out), *num, *more]
    return main([*words, "--json"])


@pytest.mark.parametrize("batch_size", ["7", "500"])
def test_bits_back_files_hold_the_very_rows(made, tmp_path, capsys, batch_size):
    packed, back = tmp_path / "a.anc", tmp_path / "a.npy"
    assert _compress(made, "pixels", packed, "--batch-size", batch_size) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model_kind"] == "lower_bound"
    assert report["overhead"] < 0.05
    assert main(["decompress", str(made / "pixels"), str(packed), "--out", str(back)]) == 0
    raw = tmp_path / "raw.anc"
    # the same rows from another seed: other words, the same picture
    assert _compress(made, "pixels", raw, "--seed", "5") == 0
    again = tmp_path / "b.npy"
    assert main(["decompress", str(made / "pixels"), str(raw), "--out", str(again)]) == 0
    assert raw.read_bytes() != packed.read_bytes()
    assert np.array_equal(np.load(back), np.load(again))
    assert np.load(back).shape == (ROWS, 8, 8)


def test_a_lossy_file_says_so_and_what_it_cost(made, tmp_path, capsys):
    packed, back = tmp_path / "a.anc", tmp_path / "a.npy"
    assert _compress(made, "pixels", packed, "--lossy") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["lossy"] is True
    assert report["rate"]["kl_nats_per_row"] * 1.4427 == pytest.approx(
        report["rate"]["kl_bits_per_row"], rel=1e-3
    )
    whole, exact = tmp_path / "w.anc", tmp_path / "w.npy"
    assert _compress(made, "pixels", whole) == 0
    assert packed.stat().st_size < whole.stat().st_size
    capsys.readouterr()
    assert main(["decompress", str(made / "pixels"), str(packed), "--out", str(back)]) == 0
    assert "lossy" in capsys.readouterr().err
    assert main(["decompress", str(made / "pixels"), str(whole), "--out", str(exact)]) == 0
    assert "lossy" not in capsys.readouterr().err
    received, sent = np.load(back), np.load(exact)
    assert received.shape == sent.shape
    assert received.dtype == sent.dtype
    error = np.square(received.astype(float) - sent.astype(float)).mean()
    assert report["distortion"]["mean_squared_error"] == pytest.approx(error)


def test_a_message_that_is_larger_than_it_need_be_says_so(made, tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "one.npy", rng.integers(0, 2, (1, 8, 8)).astype(np.uint8))
    words = ["compress", str(made / "pixels"), str(tmp_path / "one.npy"), "--lossy", "--out"]
    assert main([*words, str(tmp_path / "a.anc")]) == 0
    assert "warning: the lossy file takes" in capsys.readouterr().err
    assert _compress(made, "pixels", tmp_path / "b.anc", "--lossy") == 0
    assert "warning" not in capsys.readouterr().err


def test_no_rows_at_once_are_refused(made, tmp_path, capsys):
    assert _compress(made, "pixels", tmp_path / "a.anc", "--lossy", "--batch-size", "0") == 2
    assert "at least 1" in capsys.readouterr().err


def test_the_words_for_people(made, tmp_path, capsys):
    words = ["compress", str(made / "pixels"), "digits", "--lossy", "--out"]
    assert main([*words, str(tmp_path / "a.anc")]) == 0
    said = capsys.readouterr().out
    assert "LOSSY" in said
    assert "no likelihood" in said
    assert "KL(q||p)" in said


def test_a_lossy_table_keeps_its_form(made, tmp_path):
    packed, back = tmp_path / "a.anc", tmp_path / "a.csv"
    assert _compress(made, "table", packed, "--lossy") == 0
    assert main(["decompress", str(made / "table"), str(packed), "--out", str(back)]) == 0
    lines = back.read_text().splitlines()
    assert lines[0] == "height,visits,colour"
    assert len(lines) == 91
    assert {line.split(",")[2] for line in lines[1:]} <= {"red", "blue"}


def test_models_without_latent_variables_have_nothing_to_send(made, tmp_path, capsys):
    assert _compress(made, "none", tmp_path / "a.anc", "--lossy") == 2
    said = capsys.readouterr().err
    assert "latent variables" in said
    assert "hint:" in said
    assert not (tmp_path / "a.anc").exists()


def test_a_flipped_bit_of_a_lossy_file_is_noticed(made, tmp_path, capsys):
    packed = tmp_path / "a.anc"
    assert _compress(made, "pixels", packed, "--lossy") == 0
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 4
    packed.write_bytes(bytes(content))
    words = ["decompress", str(made / "pixels"), str(packed), "--out", str(tmp_path / "a.npy")]
    assert main(words) == 2
    assert "checksum" in capsys.readouterr().err
    assert not (tmp_path / "a.npy").exists()
