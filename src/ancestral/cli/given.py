"""Classes that samples are drawn from, as numbers."""

from __future__ import annotations

import numpy as np

from ancestral.core import OptionError, Specification
from ancestral.core.registry import nearest

__all__ = ["contexts"]


def contexts(spec: Specification, given: str | None, num: int) -> np.ndarray | None:
    """[num, classes] for a conditional run: one class, or all of them in turn.

    Args:
        spec: of the run.
        given: name of a class, or None.
        num: of samples.

    Raises:
        OptionError: the run is not conditional, or has no such class.
    """
    if not spec.context:
        if given is not None:
            raise OptionError(
                f"expected no --given, got {given!r}: the run is not conditional",
                hint="fit it with --given label",
            )
        return None
    identity = np.eye(len(spec.context), dtype=np.float32)
    if given is None:
        return identity[np.arange(num) % len(spec.context)]
    if given not in spec.context:
        raise OptionError(
            f"expected --given one of {', '.join(spec.context)}, got {given!r}",
            hint=nearest(given, list(spec.context)),
        )
    return identity[[spec.context.index(given)] * num]
