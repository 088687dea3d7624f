"""Where the ELBO loses: to the family of q, or to the encoder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ancestral.core import Accumulated, Batch, Draws, OptionError, derived_seed, seeded
from ancestral.data import Source
from ancestral.evaluation.information import some_rows
from ancestral.evaluation.latents import adapted_to
from ancestral.evaluation.local_optimum import locally_optimal
from ancestral.inference.evidence import EvidenceMethod, Importance, log_weights
from ancestral.inference.posteriors import (
    ParametricPosterior,
    PerDatum,
    Posterior,
    Refinement,
    ScoresItsDraws,
    WarmStart,
)
from ancestral.models import LatentVariableModel

__all__ = ["Gap", "Gaps", "GapsOptions", "measure_gaps"]

_ROWS_AT_ONCE = 16
_STREAM = 22  # of derived seeds

ENCODER = "the encoder"


@dataclass(frozen=True)
class GapsOptions:
    """How gaps are measured.

    Args:
        num_rows: that are looked at, by chance; each is an optimisation of its own.
        evidence: of log p; None: 1,000 importance samples, half of them from q, half from q*.
        num_samples: draws of z behind each bound.
        refinement: how q* is fitted.
        max_seconds: after which no more rows are begun; a first look at the speed decides
            whether to begin at all. None for no limit.
    """

    num_rows: int = 100
    evidence: EvidenceMethod | None = None
    num_samples: int = 1000
    refinement: Refinement = field(default_factory=lambda: Refinement(300, 0.1, 8))
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.num_rows < 1:
            raise OptionError(f"expected gaps of at least 1 row, got {self.num_rows}")


@dataclass(frozen=True)
class Gap:
    """A mean over the rows in nats, and its standard error."""

    value: float
    std_error: float

    @staticmethod
    def of(values: Tensor) -> Gap:
        """From one value for each row."""
        n = len(values)
        error = float(values.std()) / math.sqrt(n) if n > 1 else math.nan
        return Gap(float(values.mean()), error)


@dataclass(frozen=True)
class Gaps:
    r"""log p(x) minus the ELBO, and what it is made of, over some rows, in nats.

    .. math:: \log p(x) - L[q] = (\log p(x) - L[q^*]) + (L[q^*] - L[q])

    The approximation gap is what the best member q* of q's family still loses, the amortisation
    gap what the encoder loses against q*. All are estimates: log p is a lower bound in
    expectation, and q* a result of optimisation, so that total and amortisation gap are rather
    too small than too large.

    Args:
        total: log p(x) - L[q].
        approximation: log p(x) - L[q*]; None where q* cannot be fitted.
        amortization: L[q*] - L[q]; None where q* cannot be fitted.
        num_rows: rows that were looked at.
        num_samples: behind each bound.
        family: of q*, in words.
        found_by: what finds q for a row, in words, and loses the amortisation gap.

    References:
        | Inference Suboptimality in Variational Autoencoders (Cremer et al., 2018), equations
        | 4 to 6
    """

    total: Gap
    approximation: Gap | None
    amortization: Gap | None
    num_rows: int
    num_samples: int
    family: str
    found_by: str = ENCODER

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        parts = {
            "total": self.total,
            "approximation": self.approximation,
            "amortization": self.amortization,
        }
        return {
            **{name: None if gap is None else dict(vars(gap)) for name, gap in parts.items()},
            "kind": "estimate",
            "unit": "nats",
            "rows": self.num_rows,
            "samples": self.num_samples,
            "family": self.family,
            "found_by": self.found_by,
        }

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> Gaps:
        """Undo `to_dict`."""

        def gap(name: str) -> Gap | None:
            part = d[name]
            if part is None:
                return None
            return Gap(*(math.nan if part[k] is None else part[k] for k in ("value", "std_error")))

        total = gap("total")
        assert total is not None
        return Gaps(
            total,
            gap("approximation"),
            gap("amortization"),
            d["rows"],
            d["samples"],
            d["family"],
            d.get("found_by", ENCODER),
        )


@torch.no_grad()
def measure_gaps(
    model: LatentVariableModel,
    posterior: Posterior,
    source: Source,
    options: GapsOptions,
    *,
    seed: int = 0,
    on_rows: Callable[[int], None] | None = None,
) -> Gaps | None:
    """Approximation and amortisation gap over some rows of a source.

    Args:
        model: p, in evaluation mode.
        posterior: q.
        source: the rows.
        options: how many of them, and how.
        seed: of rows and draws.
        on_rows: told the number of rows just done, for a progress bar.

    Returns:
        None if it would have taken longer than `options.max_seconds`.

    Cost:
        For each row 300 steps of 8 samples, forward and backward, and 3,000 samples forward.
    """
    batch = some_rows(source, options.num_rows, seed).with_index(None)
    started = time.monotonic()
    if _is_too_slow(model, posterior, batch, options):
        return None
    log_p, of_q, of_best = Accumulated(), Accumulated(), Accumulated()
    family, done = "", 0
    for first in range(0, len(batch), _ROWS_AT_ONCE):
        over = options.max_seconds is not None and time.monotonic() - started > options.max_seconds
        if done and over:
            break
        rows = batch.rows(slice(first, first + _ROWS_AT_ONCE))
        with seeded(derived_seed(seed, _STREAM, first)):
            found = _of_rows(model, posterior, rows, options, seed)
        for column, values in zip((log_p, of_q, of_best), found.bounds, strict=True):
            if values is not None:
                column.extend(values)
        family, done = found.family, done + len(rows)
        if on_rows is not None:
            on_rows(len(rows))
    evidence, elbo, best = log_p.tensor(), of_q.tensor(), of_best.tensor()
    split = len(best) == done
    return Gaps(
        Gap.of(evidence - elbo),
        Gap.of(evidence - best) if split else None,
        Gap.of(best - elbo) if split else None,
        done,
        options.num_samples,
        family,
        _found_by(posterior),
    )


def _found_by(posterior: Posterior) -> str:
    has_encoder = not isinstance(posterior, PerDatum) or isinstance(posterior.start, WarmStart)
    return ENCODER if has_encoder else "the steps that fit q to each row"


@dataclass(frozen=True)
class _Found:
    """log p, L[q] and L[q*] of some rows, [batch] each."""

    bounds: tuple[Tensor, Tensor, Tensor | None]
    family: str


def _of_rows(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, options: GapsOptions, seed: int
) -> _Found:
    adapted, rows = adapted_to(posterior, model, batch)
    of_q = log_weights(model, adapted, rows, options.num_samples).double().mean(0)
    optimum = locally_optimal(model, adapted, rows, options.refinement)
    evidence = options.evidence or Importance(options.num_samples, seed)
    if optimum is None:
        log_p = evidence(model, adapted, [rows]).value
        return _Found(
            (log_p, of_q, None), "one that passes no gradients, so that it cannot be fitted"
        )
    best = optimum.posterior
    of_best = log_weights(model, best, rows, options.num_samples).double().mean(0)
    log_p = evidence(model, _proposal(model, adapted, best, rows), [rows]).value
    return _Found((log_p, of_q, of_best), optimum.family)


def _proposal(model: LatentVariableModel, q: Posterior, best: Posterior, rows: Batch) -> Posterior:
    """Half q, half q* where both densities are at hand; q* may have lost a mode that q kept."""
    if not isinstance(q, ParametricPosterior) or not isinstance(best, ParametricPosterior):
        return best
    # flows know the density of their own draws; to score others' they must be inverted
    if isinstance(q.distribution(model, rows), ScoresItsDraws):
        return best
    return _Both(q, best)


class _Both(Posterior):
    """The equal mixture of two posteriors of the same rows."""

    reparameterized = False

    def __init__(self, first: Posterior, second: Posterior) -> None:
        super().__init__()
        self.parts = (first, second)

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Half of the draws from each, under the density of the mixture (stratified)."""
        half = num_samples // 2
        counts = (half, num_samples - half)
        z = torch.cat(
            [
                part.draw(model, batch, count).z
                for part, count in zip(self.parts, counts, strict=True)
                if count
            ]
        )
        return Draws(z, self.log_prob(model, batch, z))

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Log of half the sum."""
        first, second = (part.log_prob(model, batch, z) for part in self.parts)
        return torch.logaddexp(first, second) - math.log(2)


def _is_too_slow(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, options: GapsOptions
) -> bool:
    """Whether the first rows would take longer than allowed, judged by two steps of the fit."""
    if options.max_seconds is None:
        return False
    rows = batch.rows(slice(0, _ROWS_AT_ONCE))
    learning_rate, num_samples = options.refinement.learning_rate, options.refinement.num_samples
    started = time.monotonic()
    with seeded(0):
        adapted, rows = adapted_to(posterior, model, rows)
        seconds = time.monotonic() - started
        # the first step pays for what later ones find prepared
        for num_steps in (1, 2):
            started = time.monotonic()
            locally_optimal(
                model, adapted, rows, Refinement(num_steps, learning_rate, num_samples)
            )
    seconds += (time.monotonic() - started) / 2 * options.refinement.num_steps
    return seconds > options.max_seconds
