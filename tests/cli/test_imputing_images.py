"""`ancestral impute` on images: masks, hidden halves, pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import ancestral

QUICK = ("--num", 4, "--draws", 3, "--method", "importance")


@pytest.fixture
def digits(tmp_path):
    """Four digits in a file, and a mask that knows their upper half."""
    x = ancestral.load_dataset("digits").test.rows(slice(0, 4)).x.numpy().astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    known = np.zeros((8, 8), dtype=bool)
    known[:4] = True
    Image.fromarray(known.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    return tmp_path, x, known


def test_masks_of_every_format_say_the_same(cli, vae_run, digits):
    folder, x, known = digits
    np.save(folder / "mask.npy", known)
    np.savez(folder / "mask.npz", mask=np.repeat(known[None], 4, 0).astype(np.uint8), other=x)
    found = {}
    for suffix in ("png", "npy", "npz"):
        out = folder / f"{suffix}.npz"
        words = ("--mask", folder / f"mask.{suffix}", "--out", out, *QUICK)
        answer = cli("impute", vae_run, folder / "x.npy", *words)
        assert answer.code == 0, answer.err
        with np.load(out) as arrays:
            found[suffix] = {name: arrays[name] for name in arrays.files}
    one = found["png"]
    assert np.array_equal(np.isnan(one["data"]), np.broadcast_to(~known, x.shape))
    assert (one["completed"][:, known] == x[:, known]).all()
    assert (one["samples"][:, :, known] == x[:, None, known]).all()
    assert one["samples"].shape == (4, 3, 8, 8)
    assert (one["completed"] % 1 == 0).all()
    for other in ("npy", "npz"):
        assert np.array_equal(one["samples"], found[other]["samples"])


def test_a_single_picture(cli, vae_run, digits):
    folder, x, known = digits
    Image.fromarray(x[0]).save(folder / "digit.png")
    words = ("--mask", folder / "mask.png", "--out", folder / "y.npy", "--draws", 2)
    answer = cli("impute", vae_run, folder / "digit.png", *words)
    assert answer.code == 0, answer.err
    assert "1 of 1 row of the picture" in answer.err
    assert (np.load(folder / "y.npy")[0][known] == x[0][known]).all()
    Image.fromarray(x[0].repeat(2, 0)).save(folder / "tall.png")
    words = ("--mask", folder / "mask.png", "--out", folder / "z.npy")
    cli("impute", vae_run, folder / "tall.png", *words).refuses("8 x 8 pixels, got 16 x 8")


def test_pictures_show_given_guess_draws_and_truth(cli, vae_run, digits):
    folder, _, _ = digits
    answer = cli(
        "impute",
        vae_run,
        "--hide",
        "left",
        "--out",
        folder / "left.png",
        "--method",
        "importance",
        "--draws",
        2,
        "--num",
        12,
    )
    assert answer.code == 0, answer.err
    with Image.open(folder / "left.png") as picture:
        assert picture.width > 600
        # given, best guess, two draws, truth: five strips for each of two blocks of images
        assert picture.height > 0.5 * picture.width
    answer = cli(
        "impute",
        vae_run,
        folder / "x.npy",
        "--mask",
        folder / "mask.png",
        "--out",
        folder / "x.npz",
        "--out-draws",
        folder / "d.npy",
        *QUICK,
    )
    assert np.load(folder / "d.npy").shape == (4, 3, 8, 8)


def test_masks_that_are_refused(cli, vae_run, digits):
    folder, x, known = digits
    np.save(folder / "wide.npy", np.ones((8, 9), dtype=bool))
    np.save(folder / "grey.npy", x)
    np.savez(folder / "two.npz", a=known, b=known)
    (folder / "broken.npy").write_bytes(b"\x93NUMPY")
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "mask.txt").write_text("1")
    np.save(folder / "all.npy", np.ones((8, 8), dtype=bool))
    before = sorted(path.name for path in folder.iterdir())
    for name, part in (
        ("wide.npy", "expected a mask of shape [8, 8] for all rows"),
        ("grey.npy", "expected a mask of True and False"),
        ("two.npz", "one named mask"),
        ("broken.npy", "damaged file"),
        ("broken.png", "expected a picture"),
        ("mask.txt", ".png, .npy or .npz"),
        ("none.png", "got no file"),
        ("all.npy", "expected rows with missing cells, got complete ones"),
    ):
        words = ("--mask", folder / name, "--out", folder / "y.npy")
        cli("impute", vae_run, folder / "x.npy", *words).refuses(part)
    assert sorted(path.name for path in folder.iterdir()) == before
