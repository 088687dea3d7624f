"""Compiled kernels: the right answer, no compiler, many processes, one OpenMP."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ancestral.core import native
from ancestral.core.native import compiled

SUM = """
double sum(const double *x, long n, int threads) {
    double total = 0;
    #pragma omp parallel for reduction(+:total) num_threads(threads) if(threads > 1)
    for (long i = 0; i < n; i++) total += x[i];
    return total;
}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ANCESTRAL_CACHE", str(tmp_path))
    monkeypatch.delenv("ANCESTRAL_NATIVE", raising=False)
    native._library.cache_clear()
    yield tmp_path / "native"
    native._library.cache_clear()


needs_compiler = pytest.mark.skipif(
    native.shutil.which("cc") is None, reason="there is no compiler"
)


def _sum(library: ctypes.CDLL, x: torch.Tensor, threads: int) -> float:
    library.sum.restype = ctypes.c_double
    return library.sum(ctypes.c_void_p(x.data_ptr()), ctypes.c_long(x.numel()), threads)


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
def test_a_kernel_computes(threads):
    library = compiled(SUM)
    assert library is not None
    x = torch.arange(1000.0, dtype=torch.float64)
    assert _sum(library, x, threads) == 499500


@needs_compiler
def test_a_second_call_opens_what_the_first_built(cache, monkeypatch):
    assert compiled(SUM) is not None
    native._library.cache_clear()
    monkeypatch.setattr(native, "_build", lambda *_: pytest.fail("it was compiled again"))
    assert compiled(SUM) is not None
    assert [path.suffix for path in cache.iterdir()] == [".so"]


@needs_compiler
def test_another_source_or_flag_is_another_library():
    a, b, c = (compiled(f"int f(void) {{ return {n}; }}", *flags)
               for n, flags in ((1, ()), (2, ()), (1, ("-ffast-math",))))  # fmt: skip
    assert a is not None
    assert b is not None
    assert c is not None
    assert (a.f(), b.f(), c.f()) == (1, 2, 1)
    assert len({a._name, b._name, c._name}) == 3


@needs_compiler
def test_fast_math_leaves_the_process_alone():
    library = compiled("float f(float x) { return x * 2; }", "-ffast-math")
    assert library is not None
    tiny = torch.tensor(1e-310)  # would be zero, were denormals flushed
    assert float(tiny * 0.5) > 0


def test_no_compiler(monkeypatch):
    monkeypatch.setattr(native.shutil, "which", lambda _: None)
    assert compiled(SUM) is None


def test_switched_off(monkeypatch):
    monkeypatch.setenv("ANCESTRAL_NATIVE", "0")
    assert compiled(SUM) is None


def test_a_source_that_does_not_compile(cache):
    assert compiled("this is no C") is None
    assert not cache.exists() or not list(cache.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANCESTRAL_CACHE", str(tmp_path / "file"))
    assert compiled(SUM) is None


@needs_compiler
def test_a_user_without_a_home(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ANCESTRAL_CACHE")
    monkeypatch.setattr(native.Path, "home", home)
    assert compiled(SUM) is None


@needs_compiler
def test_there_is_none_while_torch_compiles(monkeypatch):
    assert compiled(SUM) is not None
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert compiled(SUM) is None


@needs_compiler
def test_processes_at_once(cache):
    code = f"""
from ancestral.core.native import compiled
assert compiled({SUM!r}) is not None
"""
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert len(list(cache.iterdir())) == 1


@needs_compiler
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_there_is_one_openmp():
    before = _openmps()
    library = compiled(SUM)
    assert library is not None
    _sum(library, torch.zeros(10, dtype=torch.float64), 2)
    assert _openmps() == before


def _openmps() -> set[str]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split()[-1] for line in lines if "omp" in line.split("/")[-1]}
