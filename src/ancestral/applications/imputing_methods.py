"""Ways to impute with latent-variable models, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch

from ancestral.applications.gibbs_imputing import MetropolisWithinGibbs, PseudoGibbs
from ancestral.applications.importance_imputing import (
    ImportanceImputing,
    Proposals,
    proposals,
    resampled_imputation,
)
from ancestral.applications.imputation import Imputation, joined
from ancestral.core import Batch, OptionError
from ancestral.core.noise import noise_for
from ancestral.core.registry import nearest
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["METHODS", "AutomaticImputing", "LatentImputing", "imputing_method"]

_LAST = 0  # purpose of noise; those of proposals are their numbers


class LatentImputing(Protocol):
    """A way to draw x_mis given x_obs from a model whose cells are separate given z."""

    def __call__(
        self, model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int
    ) -> Imputation:
        """Completions of some rows, with `observed`; q is not yet adapted to them."""
        ...

    def numbers_of_a_row(self, num_samples: int, num_features: int, latent_size: int) -> int:
        """Numbers that are held at once for each row."""
        ...


@dataclass(frozen=True)
class AutomaticImputing:
    """Importance sampling where it suffices, Metropolis-within-Gibbs for the other rows.

    It suffices where the effective number of proposals is as large as that of the samples asked
    for, or `enough`, and where k-hat says that this number can be trusted. Rows for which a few
    proposals do not suffice get more first, which costs less than chains. `Imputation.methods`
    says of each row what was done.

    Samples are equally weighted, however they were made.

    Args:
        enough: effective proposals.
        more: proposals of rows for which those of `importance` are too few; 0 for none.
        importance: for rows where it suffices.
        metropolis: for the others.
    """

    enough: float = 50.0
    more: int = 10_000
    importance: ImportanceImputing = field(default_factory=ImportanceImputing)
    metropolis: MetropolisWithinGibbs = field(default_factory=MetropolisWithinGibbs)

    def numbers_of_a_row(self, num_samples: int, num_features: int, latent_size: int) -> int:
        """Numbers that are held at once for each row."""
        most = ImportanceImputing(max(self.importance.num_proposals, self.more))
        return most.numbers_of_a_row(num_samples, num_features, latent_size)

    def __call__(
        self, model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int
    ) -> Imputation:
        """Completions of some rows.

        Args:
            model: p.
            posterior: q.
            batch: rows, with `observed`.
            num_samples: of each row.
        """
        parts: list[tuple[torch.Tensor, Imputation]] = []
        left = torch.arange(len(batch), device=batch.x.device)
        counts = [self.importance.num_proposals, self.more]
        for count in sorted({max(num_samples, count) for count in counts if count}):
            rows = batch.rows(left)
            assert rows.observed is not None
            with noise_for(count, left):
                found = proposals(model, posterior.adapted(model, rows), rows, count)
            complete = rows.observed.flatten(1).all(1)  # which need no draws
            good = complete | self._suffices(found, num_samples)
            if bool(good.any()):
                chosen = good.nonzero().squeeze(1)
                with noise_for(count, left[chosen]):
                    part = resampled_imputation(
                        model, rows.rows(chosen), found.rows(chosen), num_samples
                    )
                parts.append((left[good], part))
            left, found = left[~good], found.rows((~good).nonzero().squeeze(1))
            if len(left) == 0:
                return joined(parts)
        rows = batch.rows(left)
        with noise_for(_LAST, left):
            adapted = posterior.adapted(model, rows)
            part = self.metropolis.completed(model, adapted, rows, found, num_samples)
        return joined([*parts, (left, part)])

    def _suffices(self, found: Proposals, num_samples: int) -> torch.Tensor:
        """[rows] bool."""
        evidence = found.evidence
        assert evidence.ess is not None
        assert evidence.khat is not None
        threshold = evidence.khat_threshold or 0.0
        # no tail to speak of: of equal weights, k-hat is not a number
        light = evidence.khat.isnan() & (evidence.ess > 0.5 * len(found.z))
        trusted = light | (evidence.khat <= threshold)
        return trusted & (evidence.ess >= min(num_samples, self.enough))


METHODS: dict[str, LatentImputing] = {
    "auto": AutomaticImputing(),
    "importance": ImportanceImputing(),
    "metropolis": MetropolisWithinGibbs(),
    "pseudo-gibbs": PseudoGibbs(),
}
"""Ways by the names that they have on the command line."""


def imputing_method(method: LatentImputing | str) -> LatentImputing:
    """A way to impute, or the one of that name.

    Raises:
        OptionError: there is none of that name.

    Example:
        >>> imputing_method("metropolis").num_sweeps
        120
    """
    if not isinstance(method, str):
        return method
    if method not in METHODS:
        raise OptionError(
            f"expected a method of {', '.join(METHODS)}, got {method!r}",
            hint=nearest(method, list(METHODS)),
        )
    return METHODS[method]
