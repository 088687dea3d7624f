"""How good annealing is on a model, measured on data that the model made."""

from __future__ import annotations

import math

from torch import nn

from ancestral.core import DataError, Estimate
from ancestral.core.freezing import evaluation_mode
from ancestral.data import Source
from ancestral.evaluation.result import Bounds, EffectiveSamples, Evaluation, Number, Setting
from ancestral.inference.evidence import Bidirectional, Start
from ancestral.inference.posteriors import Posterior

__all__ = ["evaluate_simulated"]

_WIDE = 1.0  # nats


def evaluate_simulated(
    model: nn.Module,
    posterior: Posterior | None,
    source: Source,
    *,
    setting: Setting,
    method: Bidirectional,
    batch_size: int = 100,
) -> Evaluation:
    """Both bounds on log p of as many simulated data as there are rows.

    Args:
        model: a fitted p with continuous latent variables.
        posterior: q, where annealing starts from it.
        source: rows, of which only the number and the gaps matter.
        setting: names of recipe, data and split, for the record.
        method: bidirectional Monte Carlo.
        batch_size: rows at a time, at most.

    Raises:
        DataError: there are no rows.
    """
    if len(source) == 0:
        raise DataError(f"expected rows in split {setting.split!r}, got none")
    with evaluation_mode(nn.ModuleList([model, *([posterior] if posterior else [])])):
        found = method(model, posterior, source.ordered(batch_size))
    gap = found.gap
    cures = "more temperatures"
    if method.annealing.start is Start.PRIOR:
        cures += ", or a start from the posterior,"
    wide = f"the gap is {gap:.2f} nats: {cures} would make the bounds tighter"
    assert found.lower.ess is not None
    ess = found.lower.ess
    return Evaluation(
        setting,
        len(found.lower),
        bounds=Bounds(_number(found.lower), _number(found.upper), gap, found.std_error_of_gap),
        ess=EffectiveSamples(float(ess.median()), float(ess.min())),
        warnings=(wide,) if gap > _WIDE else (),
        notes=(
            f"the bounds are on log p of {len(found.lower):,} data that the model itself made, "
            "not of the rows of the split: they tell how near annealed importance sampling with "
            "these options comes to log p",
        ),
    )


def _number(estimate: Estimate) -> Number:
    value = estimate.value.double()
    n = len(value)
    error = float(value.std()) / math.sqrt(n) if n > 1 else math.nan
    return Number(float(value.mean()), error, estimate.kind, estimate.num_samples)
