"""Every recipe compresses its data and gives them back bit for bit, or refuses in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_recipes import ROWS, SOURCES, _fitted

import ancestral
from ancestral.applications.compression import CorruptFile
from ancestral.applications.compression.arithmetic import Arithmetic
from ancestral.applications.compression.container import Container
from ancestral.core import NotExact, native

MUST = {"vae", "conv_vae", "iwae", "ppca", "fvsbn", "made", "nade", "rnade", "char_rnn"}
MUST |= {"gated_pixel_cnn", "pixel_vae"}
_ASKED = ("counts", "reals")


def _choice(name):
    """The data of a recipe, and one more kind, so that each recipe is seen with two."""
    row = ROWS[name]
    others = [data for data in _ASKED if data in row.accepts and data != row.data]
    return [row.data, *others[-1:]]


PAIRS = [(name, data) for name in ancestral.REGISTRY for data in _choice(name)]
_REFUSE = {"autoencoder", "wae", "mmd_net"}


def _array(source):
    x = torch.cat([batch.x for batch in source.ordered(100)]).numpy()
    return x.astype(np.float32) if source.spec.kind == "real" else x.astype(np.uint8)


def test_the_recipes_that_must_compress_are_not_refused():
    assert not _REFUSE & MUST
    assert set(ancestral.REGISTRY) >= MUST


@pytest.mark.parametrize(("name", "data"), PAIRS)
def test_rows_come_back_bit_for_bit(name, data, single_precision):
    source = SOURCES[data]()
    estimator = _fitted(name, data, epochs=1)
    array = _array(source)[:15]
    if name in _REFUSE:
        with pytest.raises(NotExact) as caught:
            estimator.compress(array)
        assert caught.value.hint
        return
    content = estimator.compress(array, batch_size=10)
    found = estimator.decompress(content)
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize("name", sorted(MUST - {"char_rnn"}))
def test_gaps_come_back_as_gaps(name, single_precision):
    estimator = _fitted(name, ROWS[name].data, epochs=1)
    array = _array(SOURCES[ROWS[name].data]())[:15].astype(np.float32)
    array[np.random.default_rng(0).random(array.shape) < 0.3] = np.nan
    found = estimator.decompress(estimator.compress(array, batch_size=10))
    assert found.tobytes() == array.tobytes()


def test_a_machine_without_a_compiler_is_told_so(single_precision, monkeypatch):
    """Kernels sum in another order than torch does: the message names what differs."""
    array = _array(SOURCES["binary"]())
    estimator = _fitted("made", "binary", epochs=1)
    content = bytearray(estimator.compress(array))
    header = Container.from_bytes(bytes(content)).header
    kernels = native.compiled("int there_is_a_compiler(void) { return 1; }")
    assert header["arithmetic"]["native"] is (kernels is not None)
    was = Arithmetic.from_json(header["arithmetic"] | {"native": True})
    monkeypatch.setattr(native.shutil, "which", lambda name: None)
    native._library.cache_clear()
    here = Arithmetic.here(estimator.model_)
    native._library.cache_clear()
    assert was.differences(here) == "compiled kernels used, here none"


@pytest.mark.parametrize("name", ["made", "vae", "ppca"])
def test_files_are_for_the_model_that_made_them(name, single_precision, tmp_path):
    data = ROWS[name].data
    array = _array(SOURCES[data]())[:15]
    estimator = _fitted(name, data, epochs=1)
    content = estimator.compress(array)
    estimator.save(tmp_path / "run")
    again = ancestral.load(tmp_path / "run")
    assert (again.decompress(content) == array).all()
    other = (
        _fitted(name, data, epochs=1, latent_size=3)
        if name == "ppca"
        else _fitted(name, data, epochs=1, seed=9)
    )
    with pytest.raises(CorruptFile, match="another model"):
        other.decompress(content)


def test_a_model_that_computes_other_masses_gives_nothing(single_precision, monkeypatch):
    """Whatever keeps the masses from being what they were, the checksum notices."""
    array = _array(SOURCES["binary"]())
    estimator = _fitted("made", "binary")
    content = estimator.compress(array)
    fingerprint = estimator.fingerprint()
    with torch.no_grad():
        for parameter in estimator.model_.parameters():
            parameter.mul_(1 + 1e-5)
    monkeypatch.setattr(estimator, "fingerprint", lambda: fingerprint)
    with pytest.raises(CorruptFile, match="got other data"):
        estimator.decompress(content)
