"""Models with a p(x) that no q leads to: what can be said of them without it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ancestral.core import Accumulated, Batch
from ancestral.evaluation.result import ErrorOfReconstruction, Evaluation, Setting
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["unscored"]

_ASK = "`evaluate --method ais` estimates it by annealed importance sampling"


def unscored(
    model: LatentVariableModel,
    posterior: Posterior | None,
    rows: Iterable[Batch],
    setting: Setting,
) -> Evaluation:
    """The reconstruction error of a deterministic encoder, if any; and why there is no more.

    Args:
        model: p.
        posterior: one without a density, or None.
        rows: the data, in batches.
        setting: names, for the record.
    """
    if posterior is None:
        note = f"there is no q(z | x), hence no bound and no log p from importance weights; {_ASK}"
        return Evaluation(setting, sum(len(batch) for batch in rows), notes=(note,))
    errors = Accumulated()
    latent_size = 0
    for batch in rows:
        z = posterior.mean(model, batch)
        latent_size = z.shape[-1]
        errors.extend(-model.log_likelihood(batch.x, z, batch.observed))
    error = errors.tensor()
    std_error = float(error.std()) / math.sqrt(len(error)) if len(error) > 1 else math.nan
    note = (
        "the encoder is deterministic: it has no density q(z | x), hence there is no bound, and "
        f"the reconstruction error is not a likelihood. The model has a p(x): {_ASK}"
    )
    return Evaluation(
        setting,
        len(error),
        reconstruction_error=ErrorOfReconstruction(float(error.mean()), std_error),
        latent_size=latent_size,
        notes=(note,),
        values=-error.numpy(),
    )
