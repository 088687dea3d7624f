"""`Imputation`: what missing cells may be, and how far to trust it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from ancestral.core import Estimate, Kind, Specification
from ancestral.core.estimate import weakest

__all__ = ["Imputation", "few_draws", "joined"]

_POOR = 0.1  # share of the draws below which a row is warned of


@dataclass(frozen=True)
class Imputation:
    r"""Draws from p(missing cells | observed cells) for each row, with weights.

    Attributes:
        samples: [rows, samples, *shape]; observed cells are as given.
        weights: [rows, samples], each row's sum to 1.
        observed: [rows, *shape] bool.
        ess: [rows], effective number of independent draws; as many as there are samples, where
            they are exact.
        log_evidence: log p(observed cells) of each row in nats. Where it comes from particles, p
            is estimated without bias, so that its logarithm is a lower bound in expectation.
        methods: of each row, in words.
        warnings: sentences on rows that should not be trusted.
        exact_marginals: [rows, *shape, K], of models that know them; None for others.
    """

    samples: Tensor
    weights: Tensor
    observed: Tensor
    ess: Tensor
    log_evidence: Estimate
    methods: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    exact_marginals: Tensor | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.samples)

    @property
    def method(self) -> str:
        """How the rows were completed, in words."""
        counts = Counter(self.methods)
        if len(counts) == 1:
            return self.methods[0]
        return "; ".join(f"{number:,} rows {method}" for method, number in counts.items())

    def marginals(self, num_codes: int) -> Tensor:
        """P(cell = k | observed cells) for codes 0 .. K - 1: [rows, *shape, K].

        Exact where the model knows it, else the weighted share of the samples; one-hot where
        observed.
        """
        if self.exact_marginals is not None:
            return self.exact_marginals[..., :num_codes]
        weights = self.weights.reshape(*self.weights.shape, *[1] * (self.samples.ndim - 2))
        shares = [((self.samples == k) * weights).sum(1) for k in range(num_codes)]
        return torch.stack(shares, -1)

    def completed(self, spec: Specification) -> Tensor:
        """One row for each: the given cells, and for each missing one a value that stands for it.

        The likeliest code where codes have no order, the median of levels and counts, the mean
        of real numbers: each the best guess of its cell by itself, not a draw of all together.

        Args:
            spec: what a row is.

        Returns:
            [rows, *shape].
        """
        found = self.samples[:, 0].clone()
        for kind in spec.kinds:
            cells = _cells_of(kind, spec, found.device)
            found = torch.where(cells, self._representative(kind, spec), found)
        return torch.where(self.observed, self.samples[:, 0], found)

    def _representative(self, kind: Kind, spec: Specification) -> Tensor:
        weights = self.weights.reshape(*self.weights.shape, *[1] * (self.samples.ndim - 2))
        if kind in (Kind.BINARY, Kind.CATEGORICAL):
            sizes = [column.num_levels or 2 for column in spec.columns or ()]
            most = max([spec.num_levels or 2, *sizes])
            return self.marginals(most).argmax(-1).to(self.samples.dtype)
        if kind in (Kind.LEVELS, Kind.COUNT):
            ordered, index = self.samples.sort(1)
            mass = weights.expand_as(self.samples).gather(1, index).cumsum(1)
            # the first value at which half of the mass is reached, whatever rounding does
            first = (mass < 0.5 - 1e-6).sum(1, keepdim=True).clamp_max(ordered.shape[1] - 1)
            return ordered.gather(1, first).squeeze(1)
        return (self.samples * weights).sum(1)

    def without_samples(self) -> Imputation:
        """All but the draws, where memory is short."""
        return replace(
            self,
            samples=self.samples[:, :0],
            weights=self.weights[:, :0],
            exact_marginals=None,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Draws and what they are worth, by name."""
        error = self.log_evidence.std_error
        found = {
            "samples": self.samples,
            "weights": self.weights,
            "ess": self.ess,
            "log_evidence": self.log_evidence.value,
            "log_evidence_std_error": torch.zeros_like(self.ess) if error is None else error,
        }
        return {name: tensor.cpu().numpy() for name, tensor in found.items()}

    @staticmethod
    def concatenate(parts: list[Imputation]) -> Imputation:
        """Join those of consecutive rows."""
        kind = parts[0].log_evidence.kind
        for part in parts[1:]:
            kind = weakest(kind, part.log_evidence.kind)
        estimates = [
            Estimate(p.log_evidence.value, kind, std_error=p.log_evidence.std_error) for p in parts
        ]
        marginals = [p.exact_marginals for p in parts if p.exact_marginals is not None]
        return Imputation(
            torch.cat([p.samples for p in parts]),
            torch.cat([p.weights for p in parts]),
            torch.cat([p.observed for p in parts]),
            torch.cat([p.ess for p in parts]),
            Estimate.concatenate(estimates),
            tuple(chain.from_iterable(p.methods for p in parts)),
            tuple(chain.from_iterable(p.warnings for p in parts)),
            torch.cat(marginals) if len(marginals) == len(parts) else None,
        )


def joined(parts: list[tuple[Tensor, Imputation]]) -> Imputation:
    """The rows of several ways, each with its numbers, in their own order again."""
    together = Imputation.concatenate([part for _, part in parts])
    back = torch.cat([rows for rows, _ in parts]).argsort()
    marginals = together.exact_marginals
    return Imputation(
        together.samples[back],
        together.weights[back],
        together.observed[back],
        together.ess[back],
        together.log_evidence[back],
        tuple(together.methods[i] for i in back.tolist()),
        together.warnings,
        None if marginals is None else marginals[back],
    )


def few_draws(ess: Tensor, num_draws: int, what: str, advice: str) -> tuple[str, ...]:
    """A warning of rows whose effective number is a small share of the draws, if there are any.

    Args:
        ess: [rows].
        num_draws: of each row.
        what: was drawn, such as "independent particles".
        advice: what to do about it.

    Example:
        >>> few_draws(torch.tensor([1.5, 90.0]), 100, "independent particles", "take more")
        ('1 row rests on few independent particles: 1.5 of 100 at worst; take more',)
    """
    poor = int((ess < _POOR * num_draws).sum())
    if poor == 0:
        return ()
    rows = "row rests" if poor == 1 else "rows rest"
    return (
        f"{poor:,} {rows} on few {what}: {float(ess.min()):.3g} of {num_draws} at worst; {advice}",
    )


def _cells_of(kind: Kind, spec: Specification, device: torch.device) -> Tensor:
    """[*shape] bool."""
    if spec.kind is not None or spec.columns is None:
        return torch.ones(spec.shape, dtype=torch.bool, device=device)
    return torch.tensor([column.kind is kind for column in spec.columns], device=device)
