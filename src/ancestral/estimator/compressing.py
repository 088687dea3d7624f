"""`Compressing`: what a fitted estimator makes of rows that are to be stored."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ancestral.applications.compression import Coder, Document, Reading, array_document
from ancestral.applications.compression.codec import Progress
from ancestral.applications.compression.documents import restored_array
from ancestral.core import DataError, Specification
from ancestral.data import Source, Vocabulary, as_source
from ancestral.data.tables import encode_table
from ancestral.estimator.recipe import Recipe
from ancestral.inference.posteriors import Posterior

__all__ = ["Compressing", "document_of_source"]

_ROWS = 1000
_DEQUANTIZED = "by adding uniform noise"  # as `Dequantized` says of its specification


class Compressing:
    """The part of `DensityEstimator` that compresses."""

    recipe: Recipe
    spec_: Specification
    options_: dict[str, Any]
    model_: nn.Module
    posterior_: Posterior | None

    if TYPE_CHECKING:

        def _require_fitted(self) -> None: ...

        def _given(self, source: Source, context: Any) -> Source: ...

    def compress(
        self,
        X: Any,
        *,
        batch_size: int | None = None,
        seed: int = 0,
        context: Any = None,
        progress: Progress | None = None,
    ) -> bytes:
        """Rows as a compressed file, from which this model, and no other, makes them again.

        The closer the model's log p, the shorter the file: -log2 p bits and little more.

        Args:
            X: rows: an array of any numeric type, whose type and shape come back; a DataFrame, of
                which the columns that the model knows come back as float64; or a `Source`.
            batch_size: rows that are coded at once: more are faster and take more memory.
            seed: of the bits that bits-back begins with.
            context: [rows, size] for a conditional model; it is stored with the rows.
            progress: is told of rows that are done.

        Raises:
            NotExact: the model has no distribution of rows to code by.
            DataError: the rows are not what the model knows.
        """
        document = self.document(X, context=context)
        coder = self.coder()
        return coder.compress(document, batch_size=batch_size, seed=seed, progress=progress).data

    def decompress(self, data: bytes, *, progress: Progress | None = None) -> np.ndarray:
        """The rows of a compressed file, in the type and shape that they had.

        Raises:
            CorruptFile: it is damaged, of another version, or of another model.
        """
        found = self.coder().decompress(data, progress=progress)
        if found.form != "array":
            raise DataError(
                f"expected a file of an array, got one of a {found.form} file",
                hint="`ancestral decompress RUN FILE --out OUT` writes it again",
            )
        return restored_array(found.details, found.content)

    def coder(self, vocabulary: Vocabulary | None = None) -> Coder:
        """The model as a compressor of documents.

        Args:
            vocabulary: of a model of text.
        """
        from ancestral import __version__

        self._require_fitted()
        return Coder(
            self.model_,
            self.posterior_,
            Reading(self.spec_, vocabulary),
            self.recipe.name,
            self.fingerprint(),
            __version__,
        )

    def fingerprint(self) -> str:
        """32 hexadecimal digits of all that decides on the model's numbers.

        The same after `save` and `load`, on any device.
        """
        self._require_fitted()
        digest = hashlib.sha256()
        named = {"recipe": self.recipe.name, "options": self.options_, "shape": self.spec_.shape}
        digest.update(json.dumps(named, sort_keys=True, default=str).encode())
        for module in (self.model_, self.posterior_):
            for name, value in sorted(({} if module is None else module.state_dict()).items()):
                digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
                digest.update(_bytes_of(value))
        return digest.hexdigest()[:32]

    def document(self, X: Any, *, context: Any = None, file: bytes | None = None) -> Document:
        """Rows taken apart for a coder.

        Args:
            X: as for `compress`.
            context: as for `compress`.
            file: bytes of the `.npy` file that X is from, to be restored rather than X.
        """
        self._require_fitted()
        spec = self.spec_
        if isinstance(X, Source):
            return document_of_source(self._given(as_source(X, spec), context), spec)
        if hasattr(X, "iloc") and spec.columns is not None:
            X = encode_table(X, spec.columns)
        elif hasattr(X, "to_numpy"):
            X = X.to_numpy()
        array = X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else np.asarray(X)
        # gaps are stored beside what the model codes: it need not know of any
        checked = as_source(array, replace(spec, missing=True))
        dequantized = _DEQUANTIZED in spec.reason
        given = _contexts(self._given(checked, context))
        return array_document(array, spec, dequantized=dequantized, context=given, file=file)


def document_of_source(source: Source, spec: Specification, remark: str = "") -> Document:
    """The rows of a source as an array: whole numbers, where they are, of the smallest type.

    Rows of whole numbers that were dequantised are stored as what they were.
    """
    parts = []
    dequantized = _DEQUANTIZED in source.spec.reason
    for batch in source.ordered(_ROWS):
        x = batch.x.floor() if dequantized else batch.x
        if batch.observed is not None:
            x = x.masked_fill(~batch.observed, torch.nan)
        parts.append(x.cpu().numpy())
    array = np.concatenate(parts) if parts else np.zeros((0, *spec.shape), np.float32)
    whole = dequantized or all(kind.is_discrete for kind in spec.kinds)
    if whole and not np.isnan(array).any():
        array = array.astype(np.min_scalar_type(int(array.max(initial=0))))
    return array_document(
        array, spec, dequantized=dequantized, context=_contexts(source), remark=remark
    )


def _contexts(source: Source) -> torch.Tensor | None:
    parts = [batch.context for batch in source.ordered(_ROWS)]
    if not parts or parts[0] is None:
        return None
    return torch.cat([part.cpu() for part in parts if part is not None])


def _bytes_of(value: torch.Tensor) -> bytes:
    flat = value.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
