"""`Purifying`: rows that were tampered with, moved to where a fitted model finds them likely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.applications.detection import (
    Calibration,
    as_seen,
    check_examined,
    examine,
    has_log_prob,
)
from ancestral.applications.purification import (
    Perturbed,
    Projection,
    has_objective,
    is_bold,
    is_scaled,
    purify,
)
from ancestral.core import Batch, OptionError, Specification
from ancestral.core.estimate import Estimate, weakest
from ancestral.data.dequantization import is_dequantized
from ancestral.estimator.received import Received
from ancestral.inference.posteriors import Posterior

if TYPE_CHECKING:
    from ancestral.data import Source

__all__ = ["Purified", "Purifying"]

_BOLDNESS = 2.0  # chosen on validation images, see docs/purification.md
_MOST_BOLDNESS = 100
_ROWS = 500  # that are looked at together

P = ParamSpec("P")


@dataclass(frozen=True, eq=False)
class Purified:
    """Rows after purification, and which were purified.

    Attributes:
        values: [rows, ...], in the shape, the units and the type of the rows that were given.
        chosen: [rows] bool; the others are as they were given.
        kept: [rows] bool, those of them that stay as they were given too, since the search found
            nothing better.
        full_scale: the number in them that stands for the highest level; 1 for data in their own
            units.
        p_values: [rows], of the given rows; None where all are purified whatever theirs.
    """

    values: np.ndarray
    chosen: np.ndarray
    kept: np.ndarray
    full_scale: float
    p_values: np.ndarray | None


@dataclass(frozen=True)
class _Search:
    """How balls are searched."""

    method: Projection | str
    boldness: float
    seed: int


def _values_of(method: Callable[P, Purified]) -> Callable[P, np.ndarray]:
    """The same method, which gives the rows alone."""

    @wraps(method)
    def purify(*args: P.args, **kwargs: P.kwargs) -> np.ndarray:
        return method(*args, **kwargs).values

    purify.__name__, purify.__qualname__ = "purify", "Purifying.purify"
    return purify


class Purifying:
    """The part of `DensityEstimator` that undoes small changes."""

    spec_: Specification
    model_: nn.Module
    posterior_: Posterior | None
    held_out_: Source | None

    if TYPE_CHECKING:

        @property
        def _device(self) -> torch.device: ...

        def _require_fitted(self) -> None: ...

        def _given(self, source: Source, context: Any) -> Source: ...

    def purified(
        self,
        X: Any,
        epsilon: Any,
        *,
        method: Projection | str = Projection.AUTO,
        boldness: float | None = None,
        full_scale: float | None = None,
        p_below: float | None = None,
        calibration: Any = None,
        seed: int = 0,
        context: Any = None,
        on_rows: Callable[[float], None] | None = None,
    ) -> Purified:
        """Rows likelier than those given, with no cell farther than epsilon from what it was.

        `purify` gives the rows alone; `purified` also which rows were purified, and p-values.

        PixelDefend: a classifier that is fooled by small changes of its input, made on purpose,
        often is not once they are undone, and they are undone by going to what the model of
        clean data finds likely nearby.

        Args:
            X: rows. Pictures may come as the data's levels, from 0 to 1, or from 0 to 255, with
                fractions or without; what comes back is in the same units, and in whole numbers
                if they were.
            epsilon: largest change of a cell. For binary data, levels and values from 0 to 1 it
                is in units of full scale: 0.3 is 0.3 of the way from black to white. For tables,
                counts and real numbers it is in each column's own units; an array of one for
                each cell, [*shape], tells columns apart.
            method: how the ball is searched, see `Projection`; auto: "greedy" for autoregressive
                models, "reconstruction" for others.
            boldness: along an order: by how many nats a change of epsilon is likelier than none,
                since attacks go as far as they may; 0 is the search of the paper. None: 2 for
                pictures, 0 for other data.
            full_scale: the number in X that stands for the highest level; None: that of the data
                if X holds whole numbers and fits; 1 if no value is above; else that of the data
                if X fits, else 255.
            p_below: purify only rows whose p-value is below; None: all.
            calibration: clean rows that the model was not trained on, for the p-values, on any
                scale; None: those that `fit` kept for validation.
            seed: of the method "sampled".
            context: [rows, size] for a conditional model.
            on_rows: is told how many more rows are done.

        Returns:
            An array of the shape of X. A row for which the search found nothing better than what
            was given stays that; better is of greater log p, or of greater
            log p + boldness * (sum over cells of |change| / epsilon).

        Raises:
            NotExact: the model can do nothing of the kind.
            IncompatibleChoices: the method is not one for the model, or all cells are categories.
            OptionError: epsilon or full_scale make no sense, or there is nothing to calibrate on.

        References:
            | PixelDefend (Song et al., 2018), algorithm 1, and section 4.2 for `p_below`
            | https://arxiv.org/abs/1710.10766

        Example:
            >>> import ancestral
            >>> data = ancestral.load_dataset("digits")
            >>> model = ancestral.build("made", epochs=3).fit(data.train, validation=data.valid)
            >>> x = data.test.rows(slice(0, 5)).x.numpy() / 16  # from 0 to 1
            >>> noisy = np.clip(x + np.random.default_rng(0).uniform(-0.2, 0.2, x.shape), 0, 1)
            >>> clean = model.purify(noisy, epsilon=0.2)
            >>> bool(np.abs(clean - noisy).max() <= 0.2 + 1e-6)
            True
            >>> bool(model.rounded_log_prob(clean).mean > model.rounded_log_prob(noisy).mean)
            True
        """
        self._require_fitted()
        received = Received.of(X, self.spec_, full_scale)
        perturbed = received.perturbed(epsilon)
        chosen, p_values = np.ones(len(received.values), dtype=bool), None
        if p_below is not None:
            if not 0 < p_below <= 1:
                raise OptionError(f"expected p_below above 0 and at most 1, got {p_below:g}")
            p_values = self._low_p_values(received, calibration, context)
            chosen = p_values < p_below
        given = self._given(received.source(), received.context if context is None else context)
        search = _Search(method, _checked_boldness(boldness, self.spec_), seed)
        found, kept = perturbed.values.clone(), np.zeros(len(chosen), dtype=bool)
        for rows in torch.as_tensor(np.flatnonzero(chosen)).split(_ROWS):
            some = perturbed.rows(rows)
            best, is_better = self._searched(some, given.rows(rows.numpy()).context, search)
            found[rows[is_better]] = best[is_better]
            kept[rows[~is_better].numpy()] = True
            if on_rows is not None:
                on_rows(len(rows))
        values = received.returned(found, perturbed.reach)
        return Purified(values, chosen, kept, perturbed.full_scale, p_values)

    purify = _values_of(purified)

    def _searched(
        self, given: Perturbed, context: Tensor | None, search: _Search
    ) -> tuple[Tensor, Tensor]:
        """What a search finds, [rows, *shape], and whether it is better than what was given."""
        dtype = next(self.model_.parameters()).dtype
        batch = Batch(given.codes(dtype), context=context).to(self._device)
        ball = given.ball(dtype).to(self._device)
        noisy = is_dequantized(self.spec_) and self.spec_.integers is not None
        codes = purify(
            self.model_,
            replace(batch, x=batch.x + 0.5) if noisy else batch,
            ball.with_noise() if noisy else ball,
            posterior=self.posterior_,
            method=search.method,
            boldness=search.boldness,
            seed=search.seed,
        )
        codes = codes.floor() if noisy else codes
        found = given.restored(codes.cpu())
        if not (has_objective(search.method) and has_log_prob(self.model_, self.posterior_)):
            return found, torch.ones(len(found), dtype=torch.bool)
        before, after = (
            examine(self.model_, self.posterior_, as_seen(rows, self.spec_)).log_prob.cpu()
            for rows in (batch, replace(batch, x=codes))
        )
        bold = search.boldness if is_bold(self.model_, search.method) else 0.0
        return found, ~(after + bold * given.distances(found) < before)

    def rounded_log_prob(
        self, X: Any, *, full_scale: float | None = None, seed: int = 0, context: Any = None
    ) -> Estimate:
        """Log p of rows on any scale once they are written as the model's data, in nats.

        Pictures are rounded to the model's levels, or binarised by one fixed draw where the
        model's data were. Of latent-variable models it is the bound of 16 samples.

        Args:
            X: rows, as for `purify`.
            full_scale: the number in X that stands for the highest level.
            seed: of the samples.
            context: [rows, size] for a conditional model.

        Raises:
            NotExact: the model has neither log p nor a bound on it.
        """
        self._require_fitted()
        return self._log_prob_of(Received.of(X, self.spec_, full_scale), context, seed)

    def low_p_values(
        self,
        X: Any,
        *,
        calibration: Any = None,
        full_scale: float | None = None,
        context: Any = None,
    ) -> np.ndarray:
        """The share of clean rows whose log p is as low as that of each row, or lower: [rows].

        Args:
            X: rows, as for `purify`.
            calibration: clean rows that the model was not trained on; None: those that `fit`
                kept for validation.
            full_scale: the number in X that stands for the highest level.
            context: [rows, size] for a conditional model.

        References:
            PixelDefend (Song et al., 2018), section 3.3
        """
        self._require_fitted()
        return self._low_p_values(Received.of(X, self.spec_, full_scale), calibration, context)

    def _low_p_values(self, received: Received, calibration: Any, context: Any) -> np.ndarray:
        kept = getattr(self, "held_out_", None) if calibration is None else calibration
        if kept is None:
            raise OptionError(
                "expected clean rows to calibrate p-values on: this estimator kept none from "
                "training",
                hint="calibration=rows that it was not trained on",
            )
        clean = self._log_prob_of(Received.of(kept, self.spec_), None)
        scores = self._log_prob_of(received, context)
        return Calibration.of(clean.value.numpy()).left(scores.value.numpy())

    def _log_prob_of(self, received: Received, context: Any, seed: int = 0) -> Estimate:
        check_examined(self.model_, self.posterior_)
        source = self._given(received.source(), received.context if context is None else context)
        parts = [
            examine(
                self.model_,
                self.posterior_,
                as_seen(batch.with_index(None), self.spec_),
                seed=seed,
            )
            for batch in source.ordered(_ROWS)
        ]
        value = torch.cat([part.log_prob for part in parts]).cpu()
        noisy = is_dequantized(self.spec_)
        return Estimate(value, weakest(parts[0].kind, "lower_bound" if noisy else "exact"))


def _checked_boldness(boldness: float | None, spec: Specification) -> float:
    if boldness is None:
        return _BOLDNESS if _is_pictured(spec) else 0.0
    if not abs(boldness) <= _MOST_BOLDNESS:
        raise OptionError(
            f"expected a boldness from {-_MOST_BOLDNESS} to {_MOST_BOLDNESS}, got {boldness:g}",
            hint="it is in nats; 2 where cells were moved on purpose, 0 for no such belief",
        )
    return boldness


def _is_pictured(spec: Specification) -> bool:
    return spec.image_shape is not None and is_scaled(spec.integers or spec)
