"""`evaluate`: the honest numbers of a fitted model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from ancestral.core import (
    Accumulated,
    Batch,
    DataError,
    Estimate,
    Kind,
    OptionError,
    Specification,
)
from ancestral.core.estimate import weakest
from ancestral.data import Source
from ancestral.evaluation.diagnostics import VariationalTerms, variational_terms
from ancestral.evaluation.fingerprint import Fingerprint, RowHashes
from ancestral.evaluation.gaps import GapsOptions, measure_gaps
from ancestral.evaluation.information import estimate_information
from ancestral.evaluation.result import (
    EffectiveSamples,
    ErrorOfReconstruction,
    Evaluation,
    Number,
    Setting,
    Tails,
)
from ancestral.evaluation.symbols import per_symbol
from ancestral.evaluation.unscored import unscored
from ancestral.evaluation.words import counted
from ancestral.inference.evidence import EvidenceMethod, default_method, has_proposal
from ancestral.inference.posteriors import Posterior
from ancestral.models import Autoencoder, ExactLogProb, LatentVariableModel

__all__ = ["evaluate"]

_MANY_HEAVY_TAILS = 0.05  # share of the data above the threshold that is worth a warning
_SHARES = (5, 25, 50, 75, 95)  # per cent, of k-hat's quantiles
_PADDED = (
    "rows are padded after their end, which costs nothing: nats are given for each symbol, and no "
    "bits for each cell"
)


def evaluate(
    model: nn.Module,
    posterior: Posterior | None,
    source: Source,
    *,
    setting: Setting,
    method: EvidenceMethod | None = None,
    elbo_samples: int = 10,
    gaps: GapsOptions | None = None,
    batch_size: int = 100,
    seed: int = 0,
    on_rows: Callable[[int], None] | None = None,
) -> Evaluation:
    """Log p(x), bits per dimension, the bound and its terms, and whether to believe them.

    Args:
        model: a fitted p; an autoencoder gets its reconstruction error, and no likelihood.
        posterior: q, or None for models without latent variables.
        source: the rows.
        setting: names of recipe, data and split, for the record.
        method: of the evidence; exact where the model is, 1,000 importance samples elsewhere.
        elbo_samples: draws of z for each datum in the bound.
        gaps: how to measure approximation and amortisation gap, which is slow; None: not.
        batch_size: rows at a time.
        seed: of all draws.
        on_rows: told the number of rows just taken, for a progress bar. Rows are taken once for
            each pass: `Evaluation.elbo` and `Evaluation.log_prob` are a pass each.

    Raises:
        DataError: there are no rows.
        OptionError: `elbo_samples` < 1.
    """
    if len(source) == 0:
        raise DataError(f"expected rows to evaluate in split {setting.split!r}, got none")
    if elbo_samples < 1:
        raise OptionError(f"expected at least 1 sample for the bound, got {elbo_samples}")
    rows = _Rows(source, batch_size, on_rows)
    with _evaluation_mode(model, posterior), torch.no_grad():
        if isinstance(model, Autoencoder):
            return replace(_of_autoencoder(model, rows, setting), fingerprint=rows.fingerprint)
        unknown = method is None and not isinstance(model, ExactLogProb)
        if unknown and isinstance(model, LatentVariableModel) and not has_proposal(posterior):
            found = unscored(model, posterior, rows, setting)
            return replace(found, fingerprint=rows.fingerprint)
        evidence = (method or default_method(model, seed=seed))(model, posterior, rows)
        num_cells = rows.num_cells
        terms, measured = None, None
        if isinstance(model, LatentVariableModel) and has_proposal(posterior):
            assert posterior is not None
            terms = variational_terms(model, posterior, rows, num_samples=elbo_samples, seed=seed)
            known = estimate_information(model, posterior, source, seed=seed)
            terms = replace(terms, use=replace(terms.use, information=known))
            if gaps is not None:
                measured = measure_gaps(model, posterior, source, gaps, seed=seed, on_rows=on_rows)
        symbols = per_symbol(model, source)
    found = _assembled(evidence, terms, source, setting, num_cells)
    found = replace(found, per_symbol=symbols, gaps=measured, fingerprint=rows.fingerprint)
    if symbols is None or source.spec.end_code is None:
        return found
    # cells after the end are certain: dividing by their number would flatter short sequences
    return replace(found, bits_per_dim=None, notes=(*found.notes, _PADDED))


def _of_autoencoder(model: Autoencoder, rows: _Rows, setting: Setting) -> Evaluation:
    errors = Accumulated()
    for batch in rows:
        errors.extend(model.reconstruction_error(batch))
    error = errors.tensor()
    first = rows.source.rows(slice(0, 1))
    return Evaluation(
        setting,
        len(error),
        reconstruction_error=ErrorOfReconstruction(float(error.mean()), _std_error(error)),
        latent_size=model.encode(first).shape[-1],
        notes=(
            "an autoencoder has no p(x): its reconstruction error is not a likelihood, and "
            "cannot be compared with one",
        ),
        values=-error.numpy(),
    )


def _assembled(
    evidence: Estimate,
    terms: VariationalTerms | None,
    source: Source,
    setting: Setting,
    num_cells: int,
) -> Evaluation:
    value = evidence.value.double().cpu()
    kind = weakest(evidence.kind, source.log_prob_kind)
    log_prob = Number(float(value.mean()), _std_error(value), kind, evidence.num_samples)
    bits_per_dim = -float(value.sum()) / (num_cells * math.log(2))
    khat = _tails(evidence)
    warnings = _warnings(evidence, khat, terms)
    notes = _notes(source, has_gaps=num_cells < len(value) * source.spec.num_dims)
    if terms is not None and terms.use.mismatch is not None:
        notes = (*notes, terms.use.mismatch)
    common = Evaluation(
        setting,
        len(value),
        log_prob=log_prob,
        bits_per_dim=bits_per_dim,
        khat=khat,
        ess=_effective_samples(evidence),
        warnings=warnings,
        notes=notes,
        values=value.numpy(),
        khat_values=None if khat is None or evidence.khat is None else evidence.khat.numpy(),
    )
    if terms is None:
        return common
    elbo, use = terms.elbo, terms.use
    return Evaluation(
        **vars(common)
        | {
            "elbo": Number(float(elbo.mean()), _std_error(elbo), "lower_bound", terms.num_samples),
            "reconstruction": float(terms.reconstruction.mean()),
            "kl": float(terms.kl.mean()),
            "active_units": use.active_units,
            "active_units_per_layer": use.active_units_per_layer or None,
            "kl_per_layer": use.kl_per_layer or None,
            "information": use.information,
            "variance_of_means": use.variance_of_means,
            "kl_per_dim": None if use.kl_per_dim is None else tuple(use.kl_per_dim.tolist()),
            "latent_size": use.latent_size,
            "collapse": use.verdict,
        }
    )


class _Rows:
    """The source's rows in order, as often as wanted; counts and hashes them on the way."""

    def __init__(
        self, source: Source, batch_size: int, on_rows: Callable[[int], None] | None
    ) -> None:
        self.source = source
        self.num_cells = 0
        self._hashes = RowHashes(source)
        self._batch_size = batch_size
        self._on_rows = on_rows

    def __iter__(self) -> Iterator[Batch]:
        self.num_cells, self._hashes = 0, RowHashes(self.source)
        for batch in self.source.ordered(self._batch_size):
            self._hashes.add(batch)
            observed = batch.observed
            self.num_cells += batch.x.numel() if observed is None else int(observed.sum())
            yield batch
            if self._on_rows is not None:
                self._on_rows(len(batch))

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the rows of the last pass."""
        return self._hashes.fingerprint()


@contextmanager
def _evaluation_mode(*modules: nn.Module | None) -> Iterator[None]:
    """Inside, dropout and batch normalisation do not depend on chance or on the batch."""
    training = [m for part in modules if part is not None for m in part.modules() if m.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _std_error(values: Tensor) -> float:
    n = len(values)
    return float(values.std()) / math.sqrt(n) if n > 1 else math.nan


def _tails(evidence: Estimate) -> Tails | None:
    khat, threshold = evidence.khat, evidence.khat_threshold
    if khat is None or threshold is None or bool((khat == math.inf).all()):
        return None  # too few samples to fit a tail to: `_warnings` says so
    khat = khat.double().cpu()
    ordered = khat.sort().values
    # by rank, since between infinities there is nothing to interpolate
    quantiles = {
        f"{share}%": float(ordered[round(share / 100 * (len(ordered) - 1))]) for share in _SHARES
    }
    return Tails(
        _finite(float(khat.median())),
        _finite(float(khat.max())),
        # not "above": an undefined k-hat is no reassurance
        float((~(khat <= threshold)).double().mean()),
        threshold,
        {name: _finite(value) for name, value in quantiles.items()},
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _effective_samples(evidence: Estimate) -> EffectiveSamples | None:
    if evidence.ess is None:
        return None
    return EffectiveSamples(float(evidence.ess.median()), float(evidence.ess.min()))


def _warnings(
    evidence: Estimate, khat: Tails | None, terms: VariationalTerms | None
) -> tuple[str, ...]:
    found = []
    num_broken = int((~torch.isfinite(evidence.value)).sum())
    if num_broken:
        found.append(
            f"{num_broken} of {len(evidence)} data have no finite log p: the model gives them "
            "no probability, or its numbers overflowed"
        )
    if evidence.khat is not None and khat is None:
        number = evidence.num_samples or 0
        found.append(
            f"{counted(number, 'importance sample')} {'is' if number == 1 else 'are'} too few to "
            "tell how good log p is; take 100 at least"
        )
    if khat is not None and khat.share_above_threshold > _MANY_HEAVY_TAILS:
        found.append(
            f"k-hat is above {khat.threshold:.2f} for {khat.share_above_threshold:.0%} of the "
            "data: few samples carry most of the weight there, so their log p is probably "
            "underestimated; more samples or a better posterior would tell"
        )
    if evidence.khat is None and evidence.std_error is not None:
        lonely = int((evidence.std_error == math.inf).sum())
        if lonely > _MANY_HEAVY_TAILS * len(evidence):
            found.append(
                f"a single chain carries the weight of {lonely} of {len(evidence)} data: their "
                "log p is probably underestimated; take more temperatures"
            )
    if terms is not None and terms.use.has_collapsed:
        found.append(terms.use.verdict)
    return tuple(found)


def _notes(source: Source, *, has_gaps: bool) -> tuple[str, ...]:
    found = []
    if source.log_prob_kind != "exact":
        found.append(
            "the integers were dequantised with noise, so log p is a lower bound on that of the "
            "integers"
        )
    elif _is_continuous(source.spec):
        found.append(
            "the data are continuous: log p and bits per dimension are densities, relative to "
            "the units of the data, and may have either sign"
        )
    if has_gaps:
        found.append(
            "cells are missing: log p is that of the observed cells, and bits per dimension "
            "counts those only"
        )
    return tuple(found)


def _is_continuous(spec: Specification) -> bool:
    return bool(spec.kinds & {Kind.REAL, Kind.POSITIVE, Kind.UNIT})
