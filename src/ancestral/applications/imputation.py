"""`Imputation`: what missing cells may be, and how far to trust it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.imputation_quantiles import quantile_interval, systematic
from ancestral.applications.imputing_noise import shuffled
from ancestral.core import Batch, Estimate, Kind, OptionError, Specification
from ancestral.core.estimate import weakest
from ancestral.core.noise import own_noise
from ancestral.core.row_noise import RowKeys
from ancestral.data import floored

__all__ = ["Imputation", "few_draws", "joined"]

_POOR = 0.1  # share of the draws below which a row is warned of,
_PLENTY = 20.0  # unless it has as many


@dataclass(frozen=True)
class Imputation:
    r"""Draws from p(missing cells | observed cells) for each row, with weights.

    `draws` gives as many equally weighted ones as are wanted, `interval` what each cell lies in
    with a given probability, `std` how far it is spread, and `completed` its best guess.

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
        means: [rows, *shape], E[cell | observed cells] with less noise than the mean of the
            samples has: that of x given z is integrated out. None where only samples tell.
            Meaningless for codes without an order.
        whole: whether cells are whole numbers whatever the specification says: a model of
            integers with noise knows them as real ones.
    """

    samples: Tensor
    weights: Tensor
    observed: Tensor
    ess: Tensor
    log_evidence: Estimate
    methods: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    exact_marginals: Tensor | None = None
    means: Tensor | None = None
    whole: bool = False

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.samples)

    @property
    def method(self) -> str:
        """How the rows were completed, in words."""
        counts = Counter(self.methods)
        if len(counts) == 1:
            return self.methods[0]
        return "; ".join(
            f"{number:,} {'row' if number == 1 else 'rows'} {method}"
            for method, number in counts.items()
        )

    def draws(self, num_draws: int, seed: int = 0) -> Tensor:
        """Equally weighted completions: multiple imputation.

        Of samples that have weights, by systematic resampling; none comes twice where the
        weights are equal and no more are wanted than there are. Those of a row do not depend
        on the rows beside it.

        Args:
            num_draws: of each row.
            seed: of the choice.

        Returns:
            [rows, num_draws, *shape]; observed cells are as given.
        """
        if num_draws < 1:
            raise OptionError(f"expected at least 1 draw, got {num_draws}")
        given = torch.where(self.observed, self.samples[:, 0], 0.0)
        keys = RowKeys(seed).of(Batch(given, self.observed))
        with own_noise(keys):
            chosen = systematic(self.weights, num_draws)
            mixed = shuffled(num_draws, chosen)
        rows = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
        return self.samples[rows, chosen.gather(1, mixed)]

    def thinned(self, num_draws: int, seed: int = 0) -> Imputation:
        """The same with `draws` for samples, and all else as it is known from more of them."""
        samples = self.draws(num_draws, seed)
        weights = self.weights.new_full((len(samples), num_draws), 1 / num_draws)
        return replace(self, samples=samples, weights=weights)

    def interval(self, level: float = 0.9) -> tuple[Tensor, Tensor]:
        r"""Bounds within which each missing cell lies with a probability, given what is observed.

        As much probability is left out below as above. Bounds are sample values, never between
        them, so that codes and counts have bounds of their own kind. With n equally weighted
        samples the k-th smallest is the quantile k / (n + 1), so that a further draw lies within
        the bounds with probability `level` or a little more, however few samples there are; 20
        are the fewest for a level of 0.9. Of fewer, the bounds are the extremes.

        Of codes without an order the bounds mean nothing: `credible_set` has the likely ones.

        Args:
            level: such as 0.9.

        Returns:
            Lower and upper bounds, [rows, *shape] each; equal where a cell is observed.

        References:
            | Wilks (1941), Determination of sample sizes for setting tolerance limits
        """
        if not 0 < level < 1:
            raise OptionError(f"expected a level between 0 and 1, got {level}")
        return quantile_interval(self.samples, self.weights, level)

    def credible_set(self, num_codes: int, level: float = 0.9) -> Tensor:
        """The likeliest codes of each cell whose probabilities sum to a level at least.

        Args:
            num_codes: K; codes are 0 .. K - 1.
            level: such as 0.9.

        Returns:
            [rows, *shape, K] bool.
        """
        if not 0 < level < 1:
            raise OptionError(f"expected a level between 0 and 1, got {level}")
        ordered, codes = self.marginals(num_codes).sort(-1, descending=True)
        # a code is in the set if those before it do not reach the level
        within = ordered.cumsum(-1) - ordered < level - 1e-6
        return torch.zeros_like(within).scatter(-1, codes, within)

    def std(self) -> Tensor:
        """Standard deviation of each cell given the observed ones, [rows, *shape]; 0 there."""
        weights = self._spread_weights()
        centred = self.samples - (self.samples * weights).sum(1, keepdim=True)
        left = 1 - weights.square().sum(1)  # (n - 1) / n of n equally weighted ones
        variance = (weights * centred.square()).sum(1) / left.clamp_min(1e-12)
        return torch.where(self.observed, 0.0, variance.sqrt())

    def _spread_weights(self) -> Tensor:
        """[rows, samples, 1, ..., 1]."""
        return self.weights.reshape(*self.weights.shape, *[1] * (self.samples.ndim - 2))

    def marginals(self, num_codes: int) -> Tensor:
        """P(cell = k | observed cells) for codes 0 .. K - 1: [rows, *shape, K].

        Exact where the model knows it, else the weighted share of the samples; one-hot where
        observed.
        """
        if self.exact_marginals is not None:
            return self.exact_marginals[..., :num_codes]
        weights = self._spread_weights()
        shares = [((self.samples == k) * weights).sum(1) for k in range(num_codes)]
        return torch.stack(shares, -1)

    def completed(self, spec: Specification) -> Tensor:
        """One row for each: the given cells, and for each missing one a value that stands for it.

        The likeliest code where codes have no order, the median of levels and counts (also of
        those that were dequantised), the mean of real numbers: each the best guess of its cell
        by itself, not a draw of all together.

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
        weights = self._spread_weights()
        if kind is Kind.BINARY and self.means is not None:
            return (self.means > 0.5).to(self.samples.dtype)
        if kind in (Kind.BINARY, Kind.CATEGORICAL):
            sizes = [column.num_levels or 2 for column in spec.columns or ()]
            most = max([spec.num_levels or 2, *sizes])
            return self.marginals(most).argmax(-1).to(self.samples.dtype)
        if kind in (Kind.LEVELS, Kind.COUNT) or self.whole:
            ordered, index = self.samples.sort(1)
            mass = weights.expand_as(self.samples).gather(1, index).cumsum(1)
            # the first value at which half of the mass is reached, whatever rounding does
            first = (mass < 0.5 - 1e-6).sum(1, keepdim=True).clamp_max(ordered.shape[1] - 1)
            return ordered.gather(1, first).squeeze(1)
        by_samples = (self.samples * weights).sum(1)
        if self.means is None:
            return by_samples
        # of heavy tails the mean given z may be infinite for some z
        means = self.means.to(self.samples.dtype)
        return torch.where(means.isfinite(), means, by_samples)

    def as_integers(self, given: Tensor, spec: Specification) -> Imputation:
        """Of a model of integers with noise: the integers that the draws are of.

        Draws are rounded down, which is exact: the model's mass of an integer is its density
        over the unit interval above it. Means of real numbers are given up: the best guess is
        the median, as it is of levels and counts.

        Args:
            given: [rows, *shape], the rows without noise.
            spec: of the model's data.
        """
        samples = torch.where(
            self.observed.unsqueeze(1), given.unsqueeze(1), floored(self.samples, spec)
        )
        return replace(self, samples=samples, means=None, whole=True)

    def without_samples(self) -> Imputation:
        """All but the draws, where memory is short."""
        return replace(
            self,
            samples=self.samples[:, :0],
            weights=self.weights[:, :0],
            exact_marginals=None,
            means=None,
        )

    def rows(self, selection: Tensor) -> Imputation:
        """Those of some rows, by number; the warnings are of all."""
        index = selection.tolist()
        marginals, means = self.exact_marginals, self.means
        return replace(
            self,
            samples=self.samples[selection],
            weights=self.weights[selection],
            observed=self.observed[selection],
            ess=self.ess[selection],
            log_evidence=self.log_evidence[selection],
            methods=tuple(self.methods[i] for i in index),
            exact_marginals=None if marginals is None else marginals[selection],
            means=None if means is None else means[selection],
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
        means = [p.means for p in parts if p.means is not None]
        return Imputation(
            torch.cat([p.samples for p in parts]),
            torch.cat([p.weights for p in parts]),
            torch.cat([p.observed for p in parts]),
            torch.cat([p.ess for p in parts]),
            Estimate.concatenate(estimates),
            tuple(chain.from_iterable(p.methods for p in parts)),
            tuple(chain.from_iterable(p.warnings for p in parts)),
            torch.cat(marginals) if len(marginals) == len(parts) else None,
            torch.cat(means) if len(means) == len(parts) else None,
            any(p.whole for p in parts),
        )


def joined(parts: list[tuple[Tensor, Imputation]]) -> Imputation:
    """The rows of several ways, each with its numbers, in their own order again."""
    together = Imputation.concatenate([part for _, part in parts])
    return together.rows(torch.cat([rows for rows, _ in parts]).argsort())


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
    poor = int((ess < min(_POOR * num_draws, _PLENTY)).sum())
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
