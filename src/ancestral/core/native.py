"""Small C kernels, compiled at first use where the machine has a compiler."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

__all__ = ["compiled"]

_OPTIMISED = (
    "-std=c11",
    "-O3",
    "-march=native",
    "-fPIC",
    "-fopenmp-simd",
    "-fno-math-errno",
    "-fno-trapping-math",
)
_SECONDS = 60  # after which a compiler counts as absent


def compiled(source: str, *flags: str) -> ctypes.CDLL | None:
    """The shared library of a C source, or None where there is none to be had.

    Whoever calls it has the same computation in torch as well, for machines without a compiler
    (`cc`), and for `ANCESTRAL_NATIVE=0`, which switches native code off. The library is kept in
    `$ANCESTRAL_CACHE` or `~/.cache/ancestral`, under a name made of source, flags, compiler and
    processor, so that a later process only opens it; several at once are safe. A first
    compilation takes about a quarter of a second. A call costs next to nothing after that, so
    that whoever makes it need not keep the library.

    Inside `torch.compile` there is none: it cannot look into native code, and fuses the torch
    operations itself.

    `#pragma omp` works where OpenMP is the one that torch itself runs on, and is ignored
    elsewhere; give a kernel `torch.get_num_threads()` as its `num_threads`. A call releases the
    interpreter's lock.

    Args:
        source: C11; what is to be called must not be `static`.
        flags: more options, such as `-ffast-math`, which makes NaN and infinity undefined.

    Example:
        >>> library = compiled("int twice(int x) { return 2 * x; }")
        >>> 6 if library is None else library.twice(3)
        6
    """
    if torch.compiler.is_compiling() or os.environ.get("ANCESTRAL_NATIVE", "1") == "0":
        return None
    return _library(source, flags)


@functools.cache
def _library(source: str, flags: tuple[str, ...]) -> ctypes.CDLL | None:
    compiler = shutil.which("cc")
    if compiler is None or os.name != "posix":
        return None
    try:
        folder = _cache_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            return None  # whoever owns the folder could put code of their own there
        # without OpenMP last: a library that wants another one than torch's does not load
        for openmp in (("-fopenmp",), ()):
            options = (*_OPTIMISED, *flags, *openmp)
            path = folder / f"{_key(source, options, compiler)}.so"
            if not path.exists() and not _build(source, options, compiler, path):
                continue
            try:
                return ctypes.CDLL(str(path))
            except OSError:
                continue
    except (OSError, subprocess.SubprocessError, RuntimeError):
        pass  # a full disk, a home that cannot be written to, or none: as good as no compiler
    return None


def _build(source: str, options: tuple[str, ...], compiler: str, path: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        text, half, whole = (Path(scratch) / f"kernel.{kind}" for kind in ("c", "o", "so"))
        text.write_text(source, encoding="utf-8")
        # linked without the options: `-fopenmp` would bring a second OpenMP beside torch's, with
        # threads of its own, and `-ffast-math` would change the rounding of the whole process
        undefined = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
        commands = (
            (compiler, *options, "-c", str(text), "-o", str(half)),
            (compiler, "-shared", *undefined, str(half), "-o", str(whole), "-lm"),
        )
        for command in commands:
            if subprocess.run(command, capture_output=True, timeout=_SECONDS).returncode != 0:
                return False
        os.replace(whole, path)
    return True


def _key(source: str, options: tuple[str, ...], compiler: str) -> str:
    binary = os.stat(compiler)
    parts = (source, *options, compiler, binary.st_mtime_ns, binary.st_size, _processor())
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]


@functools.cache
def _processor() -> str:
    """What `-march=native` depends on: a home may be shared by machines of several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    named = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(named)}))


def _cache_folder() -> Path:
    given = os.environ.get("ANCESTRAL_CACHE")
    # RuntimeError: a user without a home
    return (Path(given) if given else Path.home() / ".cache" / "ancestral") / "native"
