"""Missing cells of latent-variable models: z by importance, then x given z."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.applications.imputation import Imputation, few_draws
from ancestral.applications.imputation_quantiles import systematic
from ancestral.applications.imputing_cells import (
    completed_with,
    decoded,
    pairs_at_once,
    sampled_cells,
)
from ancestral.applications.imputing_noise import Purpose, shuffled
from ancestral.core import Batch, Draws, Estimate, OptionError
from ancestral.core.noise import noise_for, samples_from
from ancestral.inference.evidence import summarized
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = [
    "ImportanceImputing",
    "Proposals",
    "evidence_in",
    "proposals",
    "resampled_imputation",
    "resampled_latents",
]

_ADVICE = "take more samples, `metropolis`, or train on rows with gaps"
_TAILS = "what q hardly ever proposes may be missing; take `metropolis`"


@dataclass(frozen=True)
class ImportanceImputing:
    r"""z_s ~ q(z | x_obs) with weights p(x_obs, z_s) / q(z_s | x_obs), then x_mis ~ p(x | z_s).

    Given z, the missing cells do not depend on the observed ones; so the weighted samples are
    of p(x_mis | x_obs), as far as the samples of z suffice. Where as many are asked for as there
    are proposals, each comes with its weight; where fewer, they are resampled, with equal
    weights: a z may come twice, but its missing cells are drawn anew.

    Args:
        num_proposals: z of each row, at least; as many as samples are asked for, if that is more.

    References:
        | Rezende, Mohamed & Wierstra (2014), Stochastic backpropagation, appendix F
        | Mattei & Frellsen (2019), MIWAE: section 3.2 (sampling importance resampling)
    """

    num_proposals: int = 1000

    def __post_init__(self) -> None:
        if self.num_proposals < 1:
            raise OptionError(f"expected at least 1 proposal, got {self.num_proposals}")

    def numbers_of_a_row(self, num_samples: int, num_features: int, latent_size: int) -> int:
        """Numbers that are held at once for each row."""
        return num_samples * num_features + max(num_samples, self.num_proposals) * latent_size

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
        count = max(num_samples, self.num_proposals)
        found = proposals(model, posterior.adapted(model, batch), batch, count)
        if num_samples < count:
            return resampled_imputation(model, batch, found, num_samples)
        said = f", {count:,} weighted samples"
        return _imputation(model, batch, found, found.z, found.weights.T, said)


def resampled_imputation(
    model: LatentVariableModel, batch: Batch, found: Proposals, num_samples: int
) -> Imputation:
    """Equally weighted completions, from proposals that have been made."""
    z = resampled_latents(found, num_samples)
    equal = z.new_full((len(batch), num_samples), 1 / num_samples)
    said = f", resampled from {len(found.z):,} proposals"
    return _imputation(model, batch, found, z, equal, said)


def _imputation(
    model: LatentVariableModel,
    batch: Batch,
    found: Proposals,
    z: Tensor,
    weights: Tensor,
    said: str,
) -> Imputation:
    """Missing cells drawn given z [samples, rows, L] with weights [rows, samples]."""
    dtype, observed, evidence = batch.x.dtype, batch.observed, found.evidence
    assert observed is not None
    assert evidence.ess is not None
    complete = observed.flatten(1).all(1)  # nothing was left to chance
    ess = torch.where(complete, float(len(z)), evidence.ess.clamp_max(len(z)).to(dtype))
    return Imputation(
        completed_with(batch, sampled_cells(model, z)).transpose(0, 1),
        weights.to(dtype),
        observed,
        ess,
        evidence_in(evidence, dtype),
        (f"by importance sampling of the latent variables{said}",) * len(batch),
        (
            *few_draws(ess, len(z), "samples of the latent variables", _ADVICE),
            *_heavy_tails(evidence, complete),
        ),
        means=completed_with(batch, found.means.to(dtype)),
    )


def _heavy_tails(evidence: Estimate, complete: Tensor) -> tuple[str, ...]:
    """A warning of rows whose weights say that their effective number is not to be trusted."""
    if evidence.khat is None or evidence.khat_threshold is None:
        return ()
    poor = (evidence.khat > evidence.khat_threshold) & ~complete
    if not bool(poor.any()):
        return ()
    rows = "row" if int(poor.sum()) == 1 else "rows"
    worst = float(evidence.khat[poor].max())
    return (
        f"the weights of {int(poor.sum()):,} {rows} have heavy tails (k-hat up to {worst:.2g}): "
        f"{_TAILS}",
    )


def evidence_in(evidence: Estimate, dtype: torch.dtype) -> Estimate:
    """Log p of the observed cells, in the precision of the rows."""
    assert evidence.std_error is not None
    error = evidence.std_error.to(dtype)
    return Estimate(evidence.value.to(dtype), "lower_bound", std_error=error)


@dataclass(frozen=True, eq=False)
class Proposals:
    """Weighted draws of z given the observed cells.

    Attributes:
        z: [samples, rows, L].
        weights: [samples, rows], each row's sum to 1; float64.
        means: [rows, *shape], the weighted mean of E[x | z].
        evidence: log p(x_obs), with the effective number of samples.
    """

    z: Tensor
    weights: Tensor
    means: Tensor
    evidence: Estimate

    def rows(self, selection: Tensor) -> Proposals:
        """Those of some rows."""
        return Proposals(
            self.z[:, selection],
            self.weights[:, selection],
            self.means[selection],
            self.evidence[selection],
        )


def proposals(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int
) -> Proposals:
    """Draws from q, weighted; each is decoded once.

    Args:
        model: p.
        posterior: q, already adapted to the rows.
        batch: rows, with `observed`.
        num_samples: of each row.
    """
    propose = posterior.proposal(model, batch)
    chunk = max(1, pairs_at_once(model, batch.x.device) // len(batch))
    drawn, log_weights = [], []
    # weights are known up to a factor until the last: sums are scaled to the largest so far
    largest = batch.x.new_full((len(batch),), -torch.inf, dtype=torch.float64)
    total = torch.zeros(batch.x.shape, dtype=torch.float64, device=batch.x.device)
    for first in range(0, num_samples, chunk):
        count = min(chunk, num_samples - first)
        with noise_for(Purpose.LATENTS), samples_from(first, count):
            z, log_w, means = _weighted(model, propose, batch, count)
        drawn.append(z)
        log_weights.append(log_w)
        new = torch.maximum(largest, torch.where(log_w.isnan(), -torch.inf, log_w).amax(0))
        unit = torch.where(new.isfinite(), new, 0.0)
        weight = (log_w - unit).exp()
        total = total * _of_rows((largest - unit).exp(), total)
        weight = _of_rows(weight, means)
        total = total + torch.where(weight > 0, weight * means, 0.0).sum(0)
        largest = new
    log_w = torch.cat(log_weights)
    unit = torch.where(largest.isfinite(), largest, 0.0)
    sum_ = (log_w - unit).exp().sum(0)
    possible = (sum_ > 0) & sum_.isfinite()
    weights = torch.where(possible, (log_w - unit).exp() / sum_, 1 / num_samples)
    means = total / _of_rows(torch.where(possible, sum_, 1.0), total)
    return Proposals(torch.cat(drawn), weights, means, summarized(log_w))


def _weighted(
    model: LatentVariableModel, propose: Callable[[int], Draws], batch: Batch, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Z [count, rows, L], log-weights [count, rows] and E[x | z] [count, rows, *shape]."""
    z, log_q = propose(count)
    cells = decoded(model, z)
    log_w = model.log_prior(z) + cells.log_prob(batch.x, batch.observed) - log_q
    return z, log_w.double(), cells.mean()


def resampled_latents(found: Proposals, num_samples: int) -> Tensor:
    """Equally weighted z, in an order that says nothing: [num_samples, rows, L]."""
    with noise_for(Purpose.RESAMPLING):
        chosen = systematic(found.weights.T, num_samples)
        mixed = chosen.gather(1, shuffled(num_samples, chosen)).T
    return found.z.gather(0, mixed.unsqueeze(-1).expand(*mixed.shape, found.z.shape[-1]))


def _of_rows(weight: Tensor, like: Tensor) -> Tensor:
    """[..., rows] as [..., rows, 1, ..., 1]."""
    return weight.reshape(*weight.shape, *[1] * (like.ndim - weight.ndim))
