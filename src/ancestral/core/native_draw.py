"""`NativeDraw`: how one value is drawn, in C, for kernels that draw whole sequences."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NativeDraw"]


@dataclass(frozen=True)
class NativeDraw:
    """A C function that turns the features of a site and uniform noise into its value.

    A network that has a kernel for whole sequences puts `source` before its own code, so that
    it draws without knowing what from; the head that wrote it need not know the network.

    Args:
        source: defines, in terms of `core.native_vectors`,
            `static void draw(real *features, const real *uniforms, const double *parameters,
            real *value)`; it may overwrite the features, which are followed by 64 bytes that may
            be read and written too.
        parameters: numbers that the function is given, such as how many codes there are.
    """

    source: str
    parameters: tuple[float, ...] = ()
