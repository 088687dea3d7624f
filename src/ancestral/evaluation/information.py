"""What the KL term consists of: information about x, and distance from prior to aggregate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core import Batch, IncompatibleChoices, derived_seed, seeded
from ancestral.data import Source
from ancestral.distributions import DiagonalNormal, FullNormal, kl_terms
from ancestral.evaluation.latents import adapted_to
from ancestral.inference.posteriors import ParametricPosterior, Posterior, ScoresItsDraws
from ancestral.models import LatentVariableModel

__all__ = ["Information", "estimate_information", "rounded_down", "some_rows"]

Aggregate = Literal["densities", "fitted Gaussians"]

_ROWS = 1000  # whose codes are told apart, where q is a diagonal Gaussian
_FEWER_ROWS = 300  # where each of the N^2 densities costs more
_FEWEST_ROWS = 200  # where densities must be replaced, or q be fitted to each row
_DRAWS = 10  # of z for each row, for a KL without closed form
_CODES = 1000  # whose responsibilities are computed
_FIT_DRAWS = 64
_NUMBERS_AT_ONCE = 4_000_000
_STREAM = 21  # of derived seeds
_NARROWEST = 0.05  # of a Gaussian fitted to draws that are all alike, such as bits


def rounded_down(value: float, digits: int = 1) -> str:
    """A lower bound in decimals that is still one.

    Example:
        >>> rounded_down(2.98), rounded_down(0.3)
        ('2.9', '0.3')
    """
    # a number that is a decimal but for rounding errors stays what it is
    return f"{math.floor(value * 10**digits + 1e-9) / 10**digits:.{digits}f}"


@dataclass(frozen=True)
class Information:
    r"""The two parts of the mean KL(q(z | x) || p(z)) of N rows, in nats.

    .. math:: E_x KL(q(z|x) \| p(z)) = I_q(x; z) + KL(q(z) \| p(z))

    The first is what z says of x, the second how far all codes together are from the prior.
    With N rows one can only tell N rows apart: the lower bound on the mutual information is that
    of z and the row's number, which is never above log N. So the truth lies between two numbers,
    and where the lower one is near log N, more rows would raise it.

    The upper bound is the least of three: leave one out, KL(q(z | x) || r(z)) for a Gaussian r
    fitted to the codes of other rows, and the KL itself.

    Args:
        kl: of these rows.
        mutual_information: lower bound, from 0 to log N.
        mutual_information_at_most: upper bound, `kl` at most.
        std_error: of the lower bound, over the rows.
        num_rows: N.
        aggregate: whether q(z) was a mixture of the rows' own densities, or of Gaussians fitted
            to draws, where q has no density that could be computed at other rows' codes; the
            lower bound is then looser.

    Example:
        >>> found = Information(3.0, 1.5, 2.0, 0.1, 100, "densities")
        >>> found.marginal_kl, found.marginal_kl_at_least, round(found.limit, 2)
        (1.5, 1.0, 4.61)

    References:
        | ELBO surgery (Hoffman & Johnson, 2016), section 2
        | On Variational Bounds of Mutual Information (Poole et al., 2019), equations 1 (any r),
        | 10 (contrastive) and section 2.2 (leave one out)
    """

    kl: float
    mutual_information: float
    mutual_information_at_most: float
    std_error: float
    num_rows: int
    aggregate: Aggregate

    @property
    def at_least(self) -> str:
        """The lower bound on the mutual information with one decimal, rounded down."""
        return rounded_down(self.mutual_information)

    @property
    def limit(self) -> float:
        """Log N, the most that the lower bound can be."""
        return math.log(self.num_rows)

    @property
    def marginal_kl(self) -> float:
        """KL(q(z) || p(z)), an upper bound: that of the mixture of these N posteriors."""
        return max(0.0, self.kl - self.mutual_information)

    @property
    def marginal_kl_at_least(self) -> float:
        """Lower bound on KL(q(z) || p(z))."""
        return max(0.0, self.kl - self.mutual_information_at_most)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """For JSON: `mutual_information` and `marginal_kl`."""
        common = {
            "std_error": self.std_error,
            "unit": "nats",
            "rows": self.num_rows,
            "kl_of_these_rows": self.kl,
            "aggregate": self.aggregate,
        }
        return {
            "mutual_information": {
                "value": self.mutual_information,
                "kind": "lower_bound",
                "upper_bound": self.mutual_information_at_most,
                "limit": self.limit,
                **common,
            },
            "marginal_kl": {
                "value": self.marginal_kl,
                "kind": "upper_bound",
                "lower_bound": self.marginal_kl_at_least,
                **common,
            },
        }

    @staticmethod
    def from_dict(d: Mapping[str, Any]) -> Information:
        """Undo `to_dict`, from its first entry."""
        error = d["std_error"]
        return Information(
            d["kl_of_these_rows"],
            d["value"],
            d["upper_bound"],
            math.nan if error is None else error,
            d["rows"],
            d["aggregate"],
        )


@torch.no_grad()
def estimate_information(
    model: LatentVariableModel, posterior: Posterior, source: Source, *, seed: int = 0
) -> Information | None:
    """Mutual information and marginal KL over some rows, by chance, of a source.

    With codes z drawn from q(z | x_i) of N rows, and r_j(z) the share of row j in the mixture of
    all N densities at z, the lower bound is log N - E[entropy of r(z)]: the mutual information
    of z and the row's number, without its noise ever leaving [0, log N].

    Args:
        model: whose prior q is compared with.
        posterior: q, of any kind; per-datum ones are first fitted to the rows.
        source: the rows, of which 1,000 at most are taken (300 or 200 where q is dearer).
        seed: of rows and draws.

    Returns:
        None where the numbers are not finite, or there is a single row.

    Cost:
        N^2 densities of q, and no pass through the decoder (but those that q itself makes).
    """
    batch = some_rows(source, _ROWS, seed)
    if not _is_cheap(model, posterior, batch):
        fewer = _FEWER_ROWS if _has_densities(model, posterior, batch) else _FEWEST_ROWS
        batch = some_rows(source, fewer, seed)
    if len(batch) < 2:
        return None
    with seeded(derived_seed(seed, _STREAM)):
        adapted, rows = adapted_to(posterior, model, batch)
        z, log_q = adapted.draw(model, rows, _DRAWS)
        kl = _mean_kl(model, adapted, rows, z, log_q)
        codes = z[: max(1, min(_DRAWS, _CODES // len(rows)))]
        found = _from_densities(model, adapted, rows, codes)
        aggregate: Aggregate = "densities"
        if found is None:
            aggregate = "fitted Gaussians"
            found = _from_gaussians(adapted.draw(model, rows, _FIT_DRAWS).z, codes), math.inf
        by_row, leave_one_out = found
        limits = [kl, leave_one_out, _from_one_gaussian(z, log_q)]
    lower = max(0.0, float(by_row.mean()))
    if not math.isfinite(kl) or not math.isfinite(lower):
        return None
    upper = max(lower, min(limit for limit in limits if not math.isnan(limit)))
    error = float(by_row.std()) / math.sqrt(len(by_row))
    return Information(kl, lower, upper, error, len(rows), aggregate)


def some_rows(source: Source, num_rows: int, seed: int) -> Batch:
    """At most so many rows, by chance: the same ones for the same seed."""
    if len(source) <= num_rows:
        return source.rows(slice(0, len(source)))
    generator = torch.Generator().manual_seed(derived_seed(seed, _STREAM, num_rows))
    chosen = torch.randperm(len(source), generator=generator)[:num_rows]
    return source.rows(chosen.sort().values)


def _is_cheap(model: LatentVariableModel, posterior: Posterior, batch: Batch) -> bool:
    """Whether q is a diagonal Gaussian as it stands."""
    q = _distribution(model, posterior, _first(batch))
    return isinstance(q, DiagonalNormal)


def _has_densities(model: LatentVariableModel, posterior: Posterior, batch: Batch) -> bool:
    q = _distribution(model, posterior, _first(batch))
    return q is not None and not isinstance(q, ScoresItsDraws)


def _first(batch: Batch) -> Batch:
    # without its number, so that no posterior takes it for a row of the training data
    return batch.rows(slice(0, 1)).with_index(None)


def _distribution(
    model: LatentVariableModel, posterior: Posterior, rows: Batch
) -> Distribution | None:
    if not isinstance(posterior, ParametricPosterior):
        return None
    try:
        return posterior.distribution(model, rows)
    except IncompatibleChoices:  # one with parameters for each training row
        return None


def _mean_kl(
    model: LatentVariableModel, posterior: Posterior, rows: Batch, z: Tensor, log_q: Tensor
) -> float:
    if isinstance(posterior, ParametricPosterior):
        try:
            q = posterior.distribution(model, rows)
            return float(kl_terms(q, model.prior()).double().sum(-1).mean())
        except IncompatibleChoices:
            pass
    return float((log_q - model.log_prior(z)).double().mean())


def _from_densities(
    model: LatentVariableModel, posterior: Posterior, rows: Batch, codes: Tensor
) -> tuple[Tensor, float] | None:
    """Information of each row [N], and the leave-one-out bound; None without densities."""
    q = _distribution(model, posterior, rows)
    if q is None or isinstance(q, ScoresItsDraws):
        # to score another row's code a flow must be inverted, at many times the cost of a draw
        return None
    try:
        log_q = _all_pairs(q, codes.flatten(0, 1), len(rows))
    except (NotImplementedError, IncompatibleChoices):
        return None
    own = torch.arange(len(rows), device=log_q.device).repeat(len(codes))
    return _entropy_form(log_q, len(codes)), _leave_one_out(log_q, own)


def _all_pairs(q: Distribution, codes: Tensor, num_rows: int) -> Tensor:
    """Log q(z_m | x_j), [codes, rows] in double precision, in bounded memory."""
    size = codes.shape[-1]
    numbers = num_rows * size * (1 if isinstance(q, DiagonalNormal) else size)
    parts = [
        q.log_prob(part.unsqueeze(1).expand(-1, num_rows, -1)).double()
        for part in codes.split(max(1, _NUMBERS_AT_ONCE // numbers))
    ]
    return torch.cat(parts)


def _entropy_form(log_q: Tensor, num_draws: int) -> Tensor:
    """Log N minus the entropy of the rows' shares in each code, mean over a row's draws, [N]."""
    shares = log_q.softmax(-1)
    entropy = -torch.special.xlogy(shares, shares).sum(-1)
    return (math.log(log_q.shape[1]) - entropy).reshape(num_draws, -1).mean(0)


def _leave_one_out(log_q: Tensor, own: Tensor) -> float:
    at_own = log_q.gather(1, own.unsqueeze(1)).squeeze(1)
    others = log_q.scatter(1, own.unsqueeze(1), -math.inf).logsumexp(1)
    return float((at_own - others).mean()) + math.log(log_q.shape[1] - 1)


def _from_one_gaussian(z: Tensor, log_q: Tensor) -> float:
    """Mean of log q(z | x) - log r(z), r a Gaussian fitted to the codes of the other half of rows.

    Infinite for bits, and for too few rows to fit a covariance to.
    """
    size = z.shape[-1]
    z, log_q = z.double(), log_q.double()
    if len(z[0]) < 4 * size or bool(((z == 0) | (z == 1)).all()):
        return math.inf
    order = torch.randperm(z.shape[1], device=z.device)
    halves = order.tensor_split(2)
    terms = []
    for fitted, scored in (halves, halves[::-1]):
        codes = z[:, fitted].flatten(0, 1)
        loc = codes.mean(0)
        covariance = (codes - loc).T @ (codes - loc) / len(codes)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if bool(failed):
            return math.inf
        r = FullNormal(loc, factor)
        terms.append((log_q[:, scored] - r.log_prob(z[:, scored])).mean(0))
    return float(torch.cat(terms).mean())


def _from_gaussians(draws: Tensor, codes: Tensor) -> Tensor:
    """The contrastive bound of each row [N], with a Gaussian fitted to other draws of it."""
    scale = draws.double().std(0).clamp_min(_NARROWEST)
    critic = DiagonalNormal(draws.double().mean(0), scale.log())
    scores = _all_pairs(critic, codes.double().flatten(0, 1), draws.shape[1])
    own = torch.arange(draws.shape[1], device=scores.device).repeat(len(codes)).unsqueeze(1)
    won = scores.log_softmax(-1).gather(1, own).squeeze(1) + math.log(draws.shape[1])
    return won.reshape(len(codes), -1).mean(0)
