"""`compress` and `decompress`, as a person uses them."""

from __future__ import annotations

import json
import wave

import numpy as np
import pytest

from ancestral.cli.app import main

LETTERS = "to be or not to be that is the question\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Small runs, with the files that they were trained on."""
    folder = tmp_path_factory.mktemp("compress")
    rng = np.random.default_rng(0)
    (folder / "t.txt").write_text(LETTERS * 30)
    lines = ["height,visits,colour,class"]
    for i in range(90):
        height = f"{170 + 10 * rng.standard_normal():.1f}"
        lines.append(f"{height},{rng.poisson(60)},{'red' if i % 3 else 'blue'},{i % 2}")
    (folder / "people.csv").write_text("\r\n".join(lines) + "\r\n")
    hum = 0.3 * np.sin(np.arange(3000) / 9) + 0.02 * rng.normal(size=3000)
    with wave.open(str(folder / "hum.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((hum * 32767).astype("<i2").tobytes())
    quick = ["--epochs", "1", "--quiet", "--no-report"]
    small = ["--channels", "4", "--num-layers", "2", "--num-stacks", "1", "--length", "64"]
    for name, words in {
        "text": ["char_rnn", "t.txt", "--length", "16", "--hidden-size", "8"],
        "words": [
            "char_rnn",
            "t.txt",
            "--symbols",
            "words",
            "--length",
            "8",
            "--hidden-size",
            "8",
        ],
        "table": ["made", "people.csv", "--label", "class", "--hidden-size", "8"],
        "sound": ["wavenet", "hum.wav", *small],
        "pixels": ["fvsbn", "digits", "--binarization", "static"],
        "ppca": ["ppca", "digits", "--dequantize", "--latent-size", "2"],
    }.items():
        words[1] = str(folder / words[1]) if "." in words[1] else words[1]
        options = quick[2:] if name == "ppca" else quick
        assert main(["fit", *words, *options, "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture(autouse=True)
def _single(single_precision):
    """As outside of tests."""


@pytest.mark.parametrize(
    ("run", "file"),
    [("text", "t.txt"), ("words", "t.txt"), ("table", "people.csv"), ("sound", "hum.wav")],
)
def test_files_come_back_byte_for_byte(made, cli, tmp_path, run, file):
    packed, out = tmp_path / "f.anc", tmp_path / file
    answer = cli("compress", made / run, made / file, "--out", packed, "--json")
    assert answer.code == 0, answer
    report = json.loads(answer.out)
    assert (
        report["bytes"]["file"]
        == packed.stat().st_size
        == sum(report["bytes"][part] for part in ("symbols", "side_information", "header"))
    )
    assert set(report["others"]) == {"as it is", "gzip", "bz2", "xz"}
    assert report["overhead"] < 0.01 + 64 / (report["bits_per_cell"]["model"] * report["cells"])
    assert report["model_kind"] == "exact"
    assert cli("decompress", made / run, packed, "--out", out).out.strip() == str(out)
    assert out.read_bytes() == (made / file).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["f.anc", file])


def test_a_text_that_the_model_never_saw_comes_back(made, cli, tmp_path):
    strange = tmp_path / "strange.txt"
    strange.write_bytes("Größe: 9\r\n".encode() + b"\xff\x00 to be" + LETTERS.encode())
    for run in ("text", "words"):
        packed, out = tmp_path / f"{run}.anc", tmp_path / f"{run}.txt"
        assert cli("compress", made / run, strange, "--out", packed).code == 0
        assert cli("decompress", made / run, packed, "--out", out).code == 0
        assert out.read_bytes() == strange.read_bytes()


def test_a_table_with_gaps_and_new_categories_comes_back(made, cli, tmp_path):
    odd = tmp_path / "odd.csv"
    odd.write_text('class,colour,visits,height\n0,green,61,\n,"red",1e2,170.25\n1,?,-4,7e1\n')
    packed, out = tmp_path / "o.anc", tmp_path / "out.csv"
    assert cli("compress", made / "table", odd, "--out", packed).code == 0
    assert cli("decompress", made / "table", packed, "--out", out).code == 0
    assert out.read_bytes() == odd.read_bytes()


@pytest.mark.parametrize("batch_size", [1, 64, 10_000])
def test_pictures_at_any_batch(made, cli, tmp_path, batch_size):
    packed, out = tmp_path / "f.anc", tmp_path / "f.npy"
    words = ("--num", 40, "--batch-size", batch_size, "--json")
    report = json.loads(cli("compress", made / "pixels", "--out", packed, *words).out)
    assert {"gzip", "bz2", "xz", "png"} < set(report["others"])
    assert report["others"]["as it is"]["bits_per_cell"] == 1.0
    assert cli("decompress", made / "pixels", packed, "--out", out).code == 0
    rows = np.load(out)
    assert rows.shape == (40, 8, 8)
    assert set(np.unique(rows)) == {0, 1}
    cli("sample", made / "pixels", "--num", 3, "--out", tmp_path / "x.npy")


def test_dequantised_numbers_are_the_whole_ones_again(made, cli, tmp_path):
    from ancestral import load_dataset

    packed, out = tmp_path / "f.anc", tmp_path / "f.npz"
    assert cli("compress", made / "ppca", "--out", packed).code == 0
    assert cli("decompress", made / "ppca", packed, "--out", out).code == 0
    digits = next(load_dataset("digits").test.ordered(1000)).x.numpy()
    assert (np.load(out)["x"] == digits).all()


def test_an_npy_file_comes_back_as_a_file(made, cli, tmp_path):
    array = np.random.default_rng(0).integers(0, 2, (20, 8, 8)).astype(np.float64)
    np.save(tmp_path / "a.npy", array)
    packed, out = tmp_path / "f.anc", tmp_path / "b.npy"
    assert cli("compress", made / "pixels", tmp_path / "a.npy", "--out", packed).code == 0
    assert cli("decompress", made / "pixels", packed, "--out", out).code == 0
    assert out.read_bytes() == (tmp_path / "a.npy").read_bytes()
    np.save(tmp_path / "a.npy", array + 0.5)
    again = cli("compress", made / "pixels", tmp_path / "a.npy", "--out", tmp_path / "g.anc")
    again.refuses("binary values")


def test_also_where_its_name_is_in_capitals(made, cli, tmp_path):
    array = np.random.default_rng(0).integers(0, 2, (20, 8, 8)).astype(np.int16)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    (tmp_path / "a.npy").rename(tmp_path / "a.NPY")
    packed, out = tmp_path / "f.anc", tmp_path / "b.NPY"
    assert cli("compress", made / "pixels", tmp_path / "a.NPY", "--out", packed).code == 0
    assert cli("decompress", made / "pixels", packed, "--out", out).code == 0
    assert out.read_bytes() == (tmp_path / "a.NPY").read_bytes()


def test_a_file_is_compressed_whole_and_not_a_tenth_of_it(made, cli, tmp_path):
    array = np.random.default_rng(0).integers(0, 2, (60, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x=array)
    np.savez(tmp_path / "own.npz", train=array[:30], test=array[30:45], valid=array[45:])
    packed, out = tmp_path / "f.anc", tmp_path / "b.npy"
    words = ("--out", packed, "--overwrite", "--json")

    def back():
        assert cli("decompress", made / "pixels", packed, "--out", out, "--overwrite").code == 0
        return np.load(out)

    report = json.loads(cli("compress", made / "pixels", tmp_path / "a.npz", *words).out)
    assert report["rows"] == 60
    assert (back() == array).all()
    report = json.loads(cli("compress", made / "pixels", tmp_path / "own.npz", *words).out)
    assert (back() == array[30:45]).all()
    asked = ("--split", "test")
    report = json.loads(cli("compress", made / "pixels", tmp_path / "a.npz", *words, *asked).out)
    assert report["rows"] == 6


def test_what_was_written_can_be_verified(made, cli, tmp_path, monkeypatch):
    from ancestral.applications.compression.running import RunningCodec

    packed = tmp_path / "f.anc"
    words = ("compress", made / "text", made / "t.txt", "--out", packed, "--verify", "--json")
    assert json.loads(cli(*words).out)["verified"] is True
    packed.unlink()
    # a file that no reader could make sense of, as if this machine were not sure of its sums
    encode = RunningCodec.encode
    monkeypatch.setattr(
        RunningCodec, "encode", lambda self, x, *rest: encode(self, x.roll(1), *rest)
    )
    cli(*words).refuses("got other data")
    assert list(tmp_path.iterdir()) == []


def test_the_bound_is_that_of_what_is_coded(made, cli, tmp_path):
    """Whole numbers under a badly fitting density: what is known of their range is worth a lot."""
    report = json.loads(cli("compress", made / "ppca", "--out", tmp_path / "f.anc", "--json").out)
    bits = report["bits_per_cell"]
    assert bits["masses"] < bits["model"]
    # zeros that a stack begins with are free
    assert -0.01 < report["overhead"] < 0.001
    people = cli("compress", made / "ppca", "--out", tmp_path / "g.anc")
    assert "by its masses, in range" in people.out


def test_gaps_cost_next_to_nothing(made, cli, tmp_path):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 17, (400, 8, 8)).astype(np.float32)
    sizes = {}
    for share in (0.0, 0.9):
        array[rng.random(array.shape) < share] = np.nan
        np.save(tmp_path / "a.npy", array)
        words = (tmp_path / "a.npy", "--out", tmp_path / "f.anc", "--overwrite", "--json")
        report = json.loads(cli("compress", made / "ppca", *words).out)
        assert report["missing"] == np.isnan(array).sum()
        sizes[share] = report["bytes"]
        out = ("--out", tmp_path / "b.npy", "--overwrite")
        assert cli("decompress", made / "ppca", tmp_path / "f.anc", *out).code == 0
        assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "a.npy").read_bytes()
    # a tenth of the cells, and half a bit for each to say which ones they are
    assert sizes[0.9]["symbols"] < 0.15 * sizes[0.0]["symbols"]
    assert sizes[0.9]["side_information"] < 0.5 * array.size / 8 + 400


def test_the_table_for_people(made, cli, tmp_path):
    answer = cli("compress", made / "text", made / "t.txt", "--out", tmp_path / "f.anc")
    first = [line.rsplit(maxsplit=2)[0].strip() for line in answer.out.splitlines()[1:-1]]
    assert first[1:] == [
        "coded symbols",
        "by its masses, in range",
        "-log2 p of the model",
        "side information",
        "header",
        "as it is",
        "gzip",
        "bz2",
        "xz",
    ]
    assert "symbols of t.txt" in answer.out.splitlines()[-1]


def test_what_cannot_be_decompressed_is_refused_and_nothing_is_written(made, cli, tmp_path):
    packed, out = tmp_path / "f.anc", tmp_path / "out.txt"
    assert cli("compress", made / "text", made / "t.txt", "--out", packed).code == 0
    content = packed.read_bytes()

    def refused(data, *parts, run="text"):
        (tmp_path / "g.anc").write_bytes(data)
        cli("decompress", made / run, tmp_path / "g.anc", "--out", out).refuses(*parts)
        assert not out.exists()

    for place in (0, 6, 9, 20, 30, 45, 60, len(content) // 2, len(content) - 1):
        damaged = bytearray(content)
        damaged[place] ^= 4
        refused(bytes(damaged), "compressed file" if place > 5 else "another or a damaged one")
    refused(content[:-1], "cut off")
    refused(content[:20], "cut off")
    refused(b"", "another or a damaged one")
    refused(content, "another model", run="words")
    cli("decompress", made / "text", tmp_path / "no.anc", "--out", out).refuses("got none")
    cli("decompress", made / "text", packed, "--out", tmp_path / "o.csv").refuses(".txt")


def test_what_cannot_be_compressed_is_refused_and_nothing_is_written(made, cli, tmp_path):
    out = tmp_path / "f.anc"
    for run, data, *parts in (
        ("pixels", made / "t.txt", "a run of text"),
        ("text", made / "people.csv", "a run of a table"),
        ("table", made / "hum.wav", "a run of sound"),
        ("table", made / "none.csv", "got none"),
        ("pixels", "digitz", "unknown data set"),
    ):
        cli("compress", made / run, data, "--out", out).refuses(*parts)
    cli("compress", made / "text", "--out", tmp_path / "f.zip").refuses(".anc")
    cli("compress", made / "text", made / "t.txt", "--num", 3, "--out", out).refuses("comes back")
    cli("compress", made / "pixels", "--batch-size", 0, "--out", out).refuses("at least 1")
    cli("compress", made / "pixels", "--seed", -1, "--out", out).refuses("a seed from 0")
    cli("compress", made / "pixels", "--split", "tset", "--out", out).refuses("'tset'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [13, 20, 26, 40, 43, 44, 45])
def test_sounds_that_were_cut_off_are_refused(made, cli, tmp_path, size):
    (tmp_path / "cut.wav").write_bytes((made / "hum.wav").read_bytes()[:size])
    out = tmp_path / "f.anc"
    cli("compress", made / "sound", tmp_path / "cut.wav", "--out", out).refuses("cut.wav")
    assert not out.exists()


def test_sounds_of_odd_headers(made, cli, tmp_path):
    content = (made / "hum.wav").read_bytes()
    packed, out = tmp_path / "f.anc", tmp_path / "b.wav"
    sound = tmp_path / "a.wav"
    sound.write_bytes(content[:40] + b"\xff" * 4 + content[44:])  # streamed: of unknown length
    assert cli("compress", made / "sound", sound, "--out", packed).code == 0
    assert cli("decompress", made / "sound", packed, "--out", out).code == 0
    assert out.read_bytes() == sound.read_bytes()
    sound.write_bytes(content[:22] + b"\0\0" + content[24:])
    again = cli("compress", made / "sound", sound, "--out", tmp_path / "g.anc")
    again.refuses("no channels")


def test_one_bad_sound_does_not_spoil_an_archive(made, cli, tmp_path):
    import zipfile

    content = (made / "hum.wav").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("bad.wav", b"no sound at all")
        archive.writestr("good.wav", content)
    packed, out = tmp_path / "f.anc", tmp_path / "b.zip"
    answer = cli("compress", made / "sound", tmp_path / "a.zip", "--out", packed, "--json")
    assert json.loads(answer.out)["rows"] == 3000
    assert cli("decompress", made / "sound", packed, "--out", out).code == 0
    assert out.read_bytes() == (tmp_path / "a.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("bad.wav", b"no sound at all")
    again = cli("compress", made / "sound", tmp_path / "a.zip", "--out", tmp_path / "g.anc")
    again.refuses("bad.wav")


def test_being_ended_leaves_nothing_behind(tmp_path):
    """SIGTERM, as a scheduler sends it; in a process of its own, since it ends one."""
    import subprocess
    import sys

    script = (
        "import os, signal, sys, pathlib\n"
        "from ancestral.cli.outputs import writing\n"
        "with writing(pathlib.Path(sys.argv[1]), ['.anc'], overwrite=False) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    assert len(os.listdir(sys.argv[2])) == 1\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "f.anc"), str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, timeout=60)
    assert ended.returncode == 143, ended.stderr
    assert ended.stderr == b""
    assert list(tmp_path.iterdir()) == []


def test_interrupting_leaves_nothing_behind(made, cli, tmp_path, monkeypatch):
    from ancestral.applications.compression import Coder

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Coder, "compress", interrupted)
    assert cli("compress", made / "pixels", "--out", tmp_path / "f.anc").code == 130
    assert list(tmp_path.iterdir()) == []
