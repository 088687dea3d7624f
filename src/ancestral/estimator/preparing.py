"""What happens between assembling parts and training them."""

from __future__ import annotations

import numpy as np

from ancestral.core import DataDependent, derived_seed
from ancestral.data import Source
from ancestral.estimator.recipe import Assembly
from ancestral.models import LatentVariableModel

__all__ = ["hold_out", "initialize"]

_STATISTICS = 12  # stream of derived seeds
_STATISTICS_CELLS = 20_000_000  # for means and scales: 80 MB in float32
_ROWS = 500  # that get their own variational parameters at once


def initialize(parts: Assembly, source: Source, seed: int) -> None:
    """Let each part set what it takes from the data: units first, since others rest on them.

    Args:
        parts: whose modules are `DataDependent`, some of them.
        source: training rows, of which a sample in bounded memory is looked at.
        seed: of the run.
    """
    rows = min(20_000, max(100, _STATISTICS_CELLS // source.spec.num_dims))
    batch = source.sample_rows(rows, derived_seed(seed, _STATISTICS))
    wholes = [parts.model, parts.posterior, parts.objective.companion]
    modules = [m for whole in wholes if whole is not None for m in whole.modules()]
    dependent = [m for m in modules if isinstance(m, DataDependent)]
    # inner parts come after outer ones in `modules`; a likelihood needs its units to be set
    for module in reversed(dependent):
        module.initialize(batch.x, batch.observed)
    if parts.posterior is not None and isinstance(parts.model, LatentVariableModel):
        for some in source.ordered(_ROWS):
            if not parts.posterior.begin(parts.model, some):
                break


def hold_out(source: Source, seed: int) -> tuple[Source, Source]:
    """Nine tenths to train on, one tenth to stop by."""
    order = np.random.default_rng(derived_seed(seed, _STATISTICS)).permutation(len(source))
    held_out = max(1, len(source) // 10)
    return (
        source.subset(np.sort(order[held_out:])),
        source.subset(np.sort(order[:held_out])),
    )
