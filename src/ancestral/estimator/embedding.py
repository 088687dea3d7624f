"""`Embedding`: what a fitted estimator makes of codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.applications.arithmetic import attribute_vector, shifted
from ancestral.applications.embedding import Decodes, Layers, codes_of, decoder_of
from ancestral.applications.interpolation import CodePath, path_between
from ancestral.core import Batch, DataError, OptionError, ShapeError, Specification, seeded
from ancestral.core.registry import nearest
from ancestral.data import Source, as_given, is_dequantized, without_noise
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["Embedding"]

_ROWS = 500  # rows that are encoded or decoded at once
_Choice = TypeVar("_Choice", bound=StrEnum)


class Embedding:
    """The part of `DensityEstimator` that encodes and decodes."""

    spec_: Specification
    model_: nn.Module
    posterior_: Posterior | None

    if TYPE_CHECKING:

        def _source(self, X: Any, context: Any = None) -> Source: ...

        def _require_fitted(self) -> None: ...

        def fit(self, X: Any, y: None = None) -> Embedding: ...  # noqa: D102

    def encode(self, X: Any, *, layers: str = "all") -> np.ndarray:
        """A vector for each row, [rows, D]: the embedding. Deterministic.

        Means of q(z | x) of latent-variable models, codes of an autoencoder, and of
        autoregressive models their pooled hidden layer, from which nothing can be decoded.

        Args:
            X: rows.
            layers: of a model with several stochastic layers: all, or top for the one furthest
                from the data.
        """
        chosen = _member(Layers, layers, "layers")
        return np.concatenate([c.cpu().numpy() for c in self._codes(X, chosen)])

    def transform(self, X: Any) -> np.ndarray:
        """`encode`, under scikit-learn's name."""
        return self.encode(X)

    def fit_transform(self, X: Any, y: None = None) -> np.ndarray:
        """`fit`, then `encode` the same rows."""
        return self.fit(X, y).encode(X)

    def decode(self, codes: Any) -> np.ndarray:
        """E[x | z], or the likeliest code where codes have no order: [..., *shape].

        Of integers that were dequantised, x is the integers, whose mean is that of x + u less
        that of u, and stays within their range.

        Args:
            codes: [..., latent], all layers of them.

        Raises:
            ShapeError: they are not of the model's latent size.
            DataError: one is not a finite number.
        """
        self._require_fitted()
        model = decoder_of(self.model_)
        weight = next(self.model_.parameters())
        z = torch.as_tensor(np.asarray(codes)).to(weight)
        size = _code_size(model, weight.new_zeros(1, *self.spec_.shape))
        if z.ndim == 0 or z.shape[-1] != size:
            raise ShapeError(
                f"expected codes of shape [..., {size}], got {list(z.shape)}",
                hint="`encode` gives codes of this model",
            )
        if not bool(z.isfinite().all()):
            raise DataError(
                "expected codes of finite numbers, got NaN or infinity",
                hint="`impute` fills in rows; codes have no missing numbers",
            )
        with torch.no_grad():
            parts = [model.reconstruct(part) for part in z.reshape(-1, z.shape[-1]).split(_ROWS)]
        found = torch.cat(parts)
        if is_dequantized(self.spec_):
            found = without_noise(found, self.spec_)
        return found.reshape(*z.shape[:-1], *found.shape[1:]).cpu().numpy()

    def reconstruct(self, X: Any) -> np.ndarray:
        """E[x | z] at the mean of q(z | x), [rows, *shape]; missing cells are filled in."""
        self._require_fitted()
        decoder_of(self.model_)
        return np.concatenate([self.decode(codes.cpu()) for codes in self._codes(X)])

    def interpolate(
        self, start: Any, end: Any, num_steps: int = 9, *, path: str = "linear"
    ) -> np.ndarray:
        """Decoded paths between codes, [rows, num_steps, *shape].

        Args:
            start: rows to start from.
            end: rows to end at, as many.
            num_steps: points on each path, both ends included.
            path: linear, or spherical: along a great circle, the radius changing evenly.
        """
        return self.decode(self.code_paths(start, end, num_steps, path=path))

    def code_paths(
        self, start: Any, end: Any, num_steps: int = 9, *, path: str = "linear"
    ) -> np.ndarray:
        """The codes that `interpolate` decodes, [rows, num_steps, latent]."""
        self._require_fitted()
        decoder_of(self.model_)
        chosen = _member(CodePath, path, "path")
        first, last = (torch.as_tensor(self.encode(x)) for x in (start, end))
        return path_between(first, last, num_steps, chosen).numpy()

    def attribute_vector(self, X: Any, mask: Any, without: Any = None) -> np.ndarray:
        """The mean code of rows with an attribute less that of rows without it, [latent].

        Args:
            X: rows.
            mask: [rows] bool, which of them have the attribute.
            without: [rows] bool, which of them to compare with; None: all others.
        """
        self._require_fitted()
        decoder_of(self.model_)
        has, lacks = (None if m is None else _as_mask(m) for m in (mask, without))
        assert has is not None
        return attribute_vector(torch.as_tensor(self.encode(X)), has, lacks).numpy()

    def shift(
        self, X: Any, vector: Any, strengths: Sequence[float] = (-2.0, -1.0, 0.0, 1.0, 2.0)
    ) -> np.ndarray:
        """Rows decoded from their codes with an attribute vector added, [rows, strengths, *shape].

        Args:
            X: rows.
            vector: [latent], such as `attribute_vector` gives.
            strengths: how often it is added; 0 gives the reconstruction.
        """
        self._require_fitted()
        decoder_of(self.model_)
        codes = torch.as_tensor(self.encode(X))
        moved = shifted(codes, torch.as_tensor(np.asarray(vector)), torch.as_tensor(strengths))
        return self.decode(moved)

    def _codes(self, X: Any, layers: Layers = Layers.ALL) -> Iterator[Tensor]:
        source = self._source(X)
        batches: Iterator[Batch] = as_given(source).ordered(_ROWS)
        if is_dequantized(self.spec_):
            batches = (_centred(batch) for batch in batches)
        return (codes_of(self.model_, self.posterior_, batch, layers) for batch in batches)


def _code_size(model: Decodes, row: Tensor) -> int:
    """Numbers of a code.

    Args:
        model: that has codes.
        row: [1, *shape], any.
    """
    with seeded(0), torch.no_grad():
        if isinstance(model, LatentVariableModel):
            return model.sample_latents(1).shape[-1]
        return model.encode(Batch(row)).shape[-1]


def _centred(batch: Batch) -> Batch:
    """Integers in the middle of the cells that noise would put them into.

    So their codes are functions of the rows, as those of other data are. Numbers that have their
    noise already stay as they are.
    """
    x = torch.where(batch.x == batch.x.floor(), batch.x + 0.5, batch.x)
    return replace(batch, x=x if batch.observed is None else x * batch.observed)


def _member(choices: type[_Choice], name: str, what: str) -> _Choice:
    names = [str(choice) for choice in choices]
    if name not in names:
        raise OptionError(
            f"expected {what} to be one of {', '.join(names)}, got {name!r}",
            hint=nearest(str(name), names),
        )
    return choices(name)


def _as_mask(mask: Any) -> Tensor:
    """[rows] bool.

    Raises:
        OptionError: it is not of True and False.
    """
    values = np.asarray(mask)
    if values.dtype != bool and not np.isin(values, (0, 1)).all():
        raise OptionError("expected a mask of True and False, got other values")
    return torch.as_tensor(values.astype(bool))
