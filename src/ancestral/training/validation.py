"""The objective's true terms on held-out rows."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ancestral.core import Batch, seeded
from ancestral.inference.objectives import Objective
from ancestral.inference.posteriors import Posterior

__all__ = ["mean_terms"]


def mean_terms(
    objective: Objective,
    model: nn.Module,
    posterior: Posterior | None,
    batches: Iterable[Batch],
    *,
    seed: int = 0,
) -> dict[str, float]:
    """Means over some rows, with the same noise each time, so that epochs can be compared.

    Terms never contain warm-up weights or free bits. Posteriors with parameters for each datum
    are fitted to the rows first.
    """
    sums: dict[str, torch.Tensor] = {}
    num_rows = 0
    with seeded(seed), torch.no_grad():
        for batch in batches:
            batch_posterior, rows = posterior, batch
            if posterior is not None:
                batch_posterior = posterior.adapted(model, batch)  # type: ignore[arg-type]
                if batch_posterior is not posterior:
                    own = torch.arange(len(batch), device=batch.x.device)
                    rows = batch.with_index(own)
            terms = objective(model, batch_posterior, rows, step=0).terms
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.double() * len(batch)
            num_rows += len(batch)
    return {name: float(value) / num_rows for name, value in sums.items()}
