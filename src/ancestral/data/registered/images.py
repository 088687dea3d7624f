"""Pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ancestral.core.specification import Kind
from ancestral.data.binarization import Binarization
from ancestral.data.download import Download
from ancestral.data.loaders.idx import load_idx
from ancestral.data.loaders.npz import load_arrays, raw_from_arrays
from ancestral.data.raw import Raw, ReadOptions, Rows
from ancestral.data.registered.row import Finder, RegisteredSet
from ancestral.data.splits import held_out

__all__ = ["ROWS"]

_MNIST_VALID = 10_000
_FREY_VALID = _FREY_TEST = 200
_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MNIST_FILES = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}


def _digits(find: Finder, options: ReadOptions) -> Raw:
    arrays = load_arrays(Path(__file__).parent.parent / "embedded" / "digits.npz")
    rows = Rows(arrays["images"], arrays["labels"].astype(np.int64))
    text = "8 x 8 handwritten digits, embedded"
    return Raw({"all": rows}, Kind.LEVELS, 17, provenance=text)


def _mnist(find: Finder, options: ReadOptions) -> Raw:
    images, labels, test_images, test_labels = (
        load_idx(find(f"images/mnist/{name}")) for name in _MNIST_FILES
    )
    train = Rows(images, labels.astype(np.int64))
    first = len(train) - _MNIST_VALID
    parts = {
        "train": train.take(np.arange(first)),
        "valid": train.take(np.arange(first, len(train))),
        "test": Rows(test_images, test_labels.astype(np.int64)),
    }
    text = "MNIST; the last 10,000 of the 60,000 training images validate"
    return Raw(parts, Kind.LEVELS, 256, provenance=text)


def _silhouettes(find: Finder, options: ReadOptions) -> Raw:
    arrays = load_arrays(find("images/caltech101_silhouettes_28.npz"))
    for part in ("train", "valid", "test"):
        arrays[f"{part}_labels"] = arrays[f"{part}_labels"].astype(np.int64) - 1
    raw = raw_from_arrays(arrays, "Caltech-101 Silhouettes")
    text = "the standard split 1; object 0, background 1, as in the original file"
    return replace(raw, kind=Kind.BINARY, provenance=f"Caltech-101 Silhouettes 28 x 28; {text}")


def _omniglot(find: Finder, options: ReadOptions) -> Raw:
    arrays = load_arrays(find("images/omniglot_subset_28.npz"))
    parts = {
        part: Rows(arrays[part], arrays[f"{part}_alphabet"].astype(np.int64))
        for part in ("train", "valid", "test")
    }
    return Raw(
        parts,
        Kind.LEVELS,
        256,
        provenance="28 of the 50 alphabets of OMNIGLOT; of 20 drawers, 14 train, 1 validates, 5 "
        "test. Not the 24,345/8,070 images of Burda et al. (2016): not comparable with "
        "published numbers, which are mostly under dynamic binarisation",
        label_names=tuple(str(n) for n in arrays["alphabet_names"]),
    )


def _freyfaces(find: Finder, options: ReadOptions) -> Raw:
    images = load_arrays(find("images/freyfaces.npz"))["images"]
    shuffled = held_out(len(images), seed=0)
    first = len(images) - _FREY_VALID - _FREY_TEST
    numbers = np.split(shuffled, [first, first + _FREY_VALID])
    parts = {p: Rows(images[n]) for p, n in zip(("train", "valid", "test"), numbers, strict=True)}
    text = (
        "shuffled with a fixed seed, 1565/200/200; neighbouring frames of the film are nearly "
        "equal and fall into different splits, so test numbers flatter"
    )
    return Raw(parts, Kind.LEVELS, 256, provenance=f"Frey faces; {text}")


def _cifar10(find: Finder, options: ReadOptions) -> Raw:
    path = find("images/cifar10_jpeg_subset.npz")
    raw = raw_from_arrays(load_arrays(path), "CIFAR-10")
    text = (
        "4,000 training and 1,000 test images of CIFAR-10 from a JPEG copy: bits per dimension "
        "are not comparable with published ones"
    )
    return replace(raw, kind=Kind.LEVELS, num_levels=256, provenance=text)


_LECUN = "Gradient-based learning applied to document recognition (LeCun et al., 1998)"
_DOWNLOADS = tuple(
    Download(_MIRROR + name, sha256, f"images/mnist/{name}")
    for name, sha256 in _MNIST_FILES.items()
)

ROWS: dict[str, RegisteredSet] = {
    "digits": RegisteredSet(
        "8x8 handwritten digits, 17 grey levels; embedded, the default",
        "Optical Recognition of Handwritten Digits (Alpaydin & Kaynak, 1998), UCI; the copy "
        "that scikit-learn ships",
        _digits,
    ),
    "mnist": RegisteredSet(
        "28x28 handwritten digits, 256 grey levels", _LECUN, _mnist, downloads=_DOWNLOADS
    ),
    "binarized-mnist": RegisteredSet(
        "MNIST, one seeded Bernoulli draw of the pixels (not Larochelle's own draw)",
        f"{_LECUN}; binarised as in Larochelle & Murray (2011)",
        _mnist,
        Binarization.STATIC,
        _DOWNLOADS,
    ),
    "dynamic-mnist": RegisteredSet(
        "MNIST, pixels drawn afresh each epoch",
        f"{_LECUN}; binarised as in Burda et al. (2016)",
        _mnist,
        Binarization.DYNAMIC,
        _DOWNLOADS,
    ),
    "omniglot": RegisteredSet(
        "28x28 handwritten characters of 28 alphabets, one seeded Bernoulli draw",
        "Human-level concept learning through probabilistic program induction (Lake et al., 2015)",
        _omniglot,
        Binarization.STATIC,
    ),
    "silhouettes": RegisteredSet(
        "28x28 silhouettes of 101 kinds of object, binary",
        "Inductive principles for restricted Boltzmann machine learning (Marlin et al., 2010)",
        _silhouettes,
    ),
    "freyfaces": RegisteredSet(
        "28x20 frames of a face, 256 grey levels",
        "Nonlinear dimensionality reduction by locally linear embedding (Roweis & Saul, 2000)",
        _freyfaces,
    ),
    "cifar10-subset": RegisteredSet(
        "32x32 colour pictures of 10 classes, from a JPEG copy",
        "Learning multiple layers of features from tiny images (Krizhevsky, 2009)",
        _cifar10,
    ),
}
