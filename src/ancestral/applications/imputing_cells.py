"""The cells of x given some z, decoded once and asked several things."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.applications.imputing_noise import (
    Purpose,
    asks_for_noise,
    sampled,
    seeds_of_rows,
)
from ancestral.core import Batch, NotExact, seeded
from ancestral.core.noise import noise_for, samples_from
from ancestral.distributions import CellHead, Head, Product
from ancestral.models import LatentVariableModel, NetworkConditional

__all__ = [
    "Cells",
    "completed_with",
    "decoded",
    "expected_cells",
    "pairs_at_once",
    "sampled_cells",
    "separate_head",
]

_PAIRS = 1000  # (sample, row) pairs decoded together: the products stay in cache
_ACCELERATOR_PAIRS = 32_768
_FEATURES = 1 << 24  # of them, at most: 64 MB


def separate_head(model: LatentVariableModel) -> Head:
    """The head of a likelihood whose cells are independent given z.

    Raises:
        NotExact: the likelihood has no such head.
    """
    head = getattr(model.likelihood, "head", None)
    heads = [part for _, part in head.parts] if isinstance(head, Product) else [head]
    for one in heads:
        if not isinstance(one, CellHead) or not isinstance(model.likelihood, NetworkConditional):
            what = model.likelihood if one is None else one
            raise NotExact(
                f"the cells of a {type(what).__name__} depend on each other even given the latent "
                "variables, and drawing them apart would be wrong",
                hint="fit with a likelihood of separate cells to impute",
            )
    assert isinstance(head, Head)
    return head


@dataclass(frozen=True, eq=False)
class Cells:
    """p(x | z) of separate cells, for some z.

    Args:
        likelihood: of z.
        features: [..., *feature_shape], what it makes of z.
    """

    likelihood: NetworkConditional
    features: Tensor

    def log_prob(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Log p(x | z) in nats of the data as given, [...]; missing cells are integrated out."""
        head, units = self.likelihood.head, self.likelihood.units
        if units is None:
            return head.log_prob(self.features, x, observed)
        return head.log_prob(self.features, units(x), observed) + units.log_det(observed)

    def sample(self) -> Tensor:
        """A draw of x for each z, [samples, rows, *shape]."""
        return self.as_given(sampled(self.likelihood.head, self.features))

    def mean(self) -> Tensor:
        """E[x | z], [..., *shape]."""
        return self.as_given(self.likelihood.head.mean(self.features))

    def where(self, chosen: Tensor, other: Cells) -> Cells:
        """These cells where `chosen` [...], the others elsewhere."""
        shape = (*chosen.shape, *[1] * (self.features.ndim - chosen.ndim))
        kept = torch.where(chosen.reshape(shape), self.features, other.features)
        return Cells(self.likelihood, kept)

    def as_given(self, y: Tensor) -> Tensor:
        """Values in the units of the data."""
        units = self.likelihood.units
        return y if units is None else units.inverse(y)


def decoded(model: LatentVariableModel, z: Tensor) -> Cells:
    """The cells given each z [..., L]."""
    likelihood = model.likelihood
    assert isinstance(likelihood, NetworkConditional)
    return Cells(likelihood, likelihood.features(z))


def pairs_at_once(model: LatentVariableModel, device: torch.device) -> int:
    """(sample, row) pairs that are decoded together."""
    most = _PAIRS if device.type == "cpu" else _ACCELERATOR_PAIRS
    return max(1, min(most, _FEATURES // separate_head(model).num_features))


def sampled_cells(model: LatentVariableModel, z: Tensor) -> Tensor:
    """A draw of x for each z [samples, rows, L], some at a time: [samples, rows, *shape]."""
    with noise_for(Purpose.CELLS):
        if asks_for_noise(separate_head(model)):
            return _sampled(model, z)
        rows = []
        for number, seed in enumerate(seeds_of_rows(z.shape[1])):
            with seeded(seed):  # all samples of a row from its own generator
                rows.append(_drawn_by_generator(model, z[:, number : number + 1]))
        return torch.cat(rows, 1)


def _sampled(model: LatentVariableModel, z: Tensor) -> Tensor:
    at_once = max(1, pairs_at_once(model, z.device) // z.shape[1])
    drawn = []
    for first in range(0, len(z), at_once):
        some = z[first : first + at_once]
        with samples_from(first, len(some)):
            drawn.append(decoded(model, some).sample())
    return torch.cat(drawn)


def _drawn_by_generator(model: LatentVariableModel, z: Tensor) -> Tensor:
    parts = (decoded(model, some) for some in z.split(pairs_at_once(model, z.device)))
    return torch.cat([part.as_given(part.likelihood.head.sample(part.features)) for part in parts])


def expected_cells(model: LatentVariableModel, z: Tensor) -> Tensor:
    """The mean over samples of E[x | z], z [samples, rows, L], some at a time: [rows, *shape]."""
    at_once = max(1, pairs_at_once(model, z.device) // z.shape[1])
    total = torch.stack([decoded(model, some).mean().sum(0) for some in z.split(at_once)])
    return total.sum(0) / len(z)


def completed_with(batch: Batch, drawn: Tensor) -> Tensor:
    """Draws [samples, rows, *shape] with the observed cells as they are given."""
    assert batch.observed is not None
    return torch.where(batch.observed, batch.x, drawn)
