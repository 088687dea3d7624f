"""`Conditioned`: rows that come with what their distribution is conditional on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core.batch import Batch
from ancestral.core.errors import DataError, ShapeError
from ancestral.data.accompanied import Accompanied
from ancestral.data.source import Source

__all__ = ["Conditioned", "given_labels"]


class Conditioned(Accompanied):
    """Another source's rows, each batch of which carries a context.

    Args:
        source: the rows; their batches must know row numbers, as those of data in memory do.
        context: [rows, size] numbers.
        names: of the numbers.

    Raises:
        ShapeError: there are not as many contexts as rows, or names as numbers.

    Example:
        >>> from ancestral.core import Kind, Specification
        >>> from ancestral.data import TensorSource
        >>> rows = TensorSource(np.zeros((3, 2), np.uint8), Specification(Kind.BINARY, (2,)))
        >>> conditioned = Conditioned(rows, torch.tensor([[1.0], [2.0], [3.0]]), ("dose",))
        >>> conditioned.rows(slice(1, 3)).context
        tensor([[2.],
                [3.]])
    """

    def __init__(self, source: Source, context: Tensor, names: Sequence[str]) -> None:
        if context.ndim != 2 or context.shape != (len(source), len(names)):
            raise ShapeError(
                f"expected a context of shape [{len(source)}, {len(names)}], "
                f"got {list(context.shape)}"
            )
        super().__init__(source, context, replace(source.spec, context=tuple(names)))

    @property
    def context(self) -> Tensor:
        """[rows, size]."""
        return self._values

    def _joined(self, batch: Batch, values: Tensor) -> Batch:
        return batch.with_context(values.to(batch.x.dtype))

    def _of(self, source: Source, values: Tensor) -> Conditioned:
        return Conditioned(source, values, self.spec.context)


def given_labels(
    source: Source, names: Sequence[str], label_names: Sequence[str] | None = None
) -> Conditioned:
    """The rows, each with its class as one number for each class: 1 for its own, else 0.

    Classes are matched by name, since other data may code them in another order.

    Args:
        source: rows with labels.
        names: of the classes, in the order of their numbers.
        label_names: what each code of a label of the source means; a code beyond them means
            itself, as text. The names of the classes if None.

    Raises:
        DataError: there are no labels, or one of them is none of the classes.

    Example:
        >>> from ancestral.core import Kind, Specification
        >>> from ancestral.data import TensorSource
        >>> spec = Specification(Kind.BINARY, (2,))
        >>> rows = TensorSource(np.zeros((2, 2), np.uint8), spec, labels=np.array([0, 1]))
        >>> given_labels(rows, ("cat", "dog"), label_names=("dog", "cat")).context
        tensor([[0., 1.],
                [1., 0.]])
    """
    labels = source.labels
    if labels is None:
        raise DataError(
            "expected labels to condition on, got data without labels",
            hint="name the column that holds them with --label",
        )
    codes, which = np.unique(np.asarray(labels), return_inverse=True)
    known = {name: number for number, name in enumerate(names)}
    meant = names if label_names is None else label_names
    found = [str(meant[c] if 0 <= c < len(meant) else c) for c in codes.tolist()]
    strange = next((name for name in found if name not in known), None)
    if strange is not None:
        raise DataError(
            f"expected labels of the classes {', '.join(names)}, got {strange!r}",
            hint="leave out the rows of other classes, or train on rows of all of them",
        )
    numbers = np.array([known[name] for name in found], dtype=np.int64)[which.ravel()]
    return Conditioned(source, F.one_hot(torch.from_numpy(numbers), len(names)).float(), names)
