"""`Dataset`: sources of training, validation and test rows, and where they are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ancestral.core.errors import DataError
from ancestral.core.specification import Specification
from ancestral.data.source import Source
from ancestral.data.vocabulary import Vocabulary

__all__ = ["Dataset"]


@dataclass(frozen=True)
class Dataset:
    """Data ready to train on.

    Args:
        name: registered, or of the file.
        spec: what a row is; `spec.reason` says how that was found.
        splits: `train`, `valid` and `test`, as far as the data have them.
        provenance: origin, split, binarisation and other preparation, in words.
        reference: paper or repository the data are from.
        label_names: what each label code means, where labels were text.
        vocabulary: of text.
        sample_rate: of sound, in hertz.
        lengths: for each split, rows of each sequence, where rows are steps of sequences.
    """

    name: str
    spec: Specification
    splits: Mapping[str, Source]
    provenance: str = ""
    reference: str = ""
    label_names: tuple[str, ...] | None = None
    vocabulary: Vocabulary | None = None
    sample_rate: int | None = None
    lengths: Mapping[str, np.ndarray] | None = None

    @property
    def train(self) -> Source:
        """Rows to fit."""
        return self.split("train")

    @property
    def valid(self) -> Source:
        """Rows to choose by: early stopping, options."""
        return self.split("valid")

    @property
    def test(self) -> Source:
        """Rows to report on."""
        return self.split("test")

    def split(self, name: str) -> Source:
        """The rows of one split.

        Raises:
            DataError: the data have none of that name.
        """
        if name not in self.splits:
            raise DataError(
                f"expected a split {name!r} of {self.name!r}, got none",
                hint="it has: " + ", ".join(self.splits),
            )
        return self.splits[name]
