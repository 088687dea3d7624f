"""Missing cells of autoregressive models, under the orders that the models score rows in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.applications.imputation import Imputation, few_draws
from ancestral.applications.imputing_noise import Purpose, uniforms_of_rows
from ancestral.applications.particles import ParticleFilter, metropolis_moves, resampled
from ancestral.core import Batch, Estimate
from ancestral.core.noise import noise_for, noise_of
from ancestral.models import AutoregressiveModel, OrderEnsemble

__all__ = ["impute_in_order"]

_MISSED = 0.5  # nats by which moves may raise log p on average
_ADVICE = "take more particles, or a model that sums exactly"


def impute_in_order(
    model: AutoregressiveModel | OrderEnsemble,
    batch: Batch,
    num_samples: int,
    settings: ParticleFilter,
) -> Imputation:
    r"""Each row by the best way that its gaps allow, of the model that `log_prob` is of.

    Exact, by ancestral sampling, where the observed sites come first; else by particles. An
    ensemble is a mixture, and so are its completions: of

    .. math:: p(x_{obs}) = \tfrac{1}{M} \sum_m p(x_{obs} | o_m), \quad
              p(x_{mis} | x_{obs}) = \sum_m p(o_m | x_{obs}) \, p(x_{mis} | x_{obs}, o_m),

    each term by itself, exactly where the observed sites come first in that order. Orders
    outside the ensemble would be easier, but are models of their own.

    Args:
        model: in evaluation mode.
        batch: rows, with `observed`.
        num_samples: completions of each row.
        settings: of the particles.
    """
    if isinstance(model, OrderEnsemble):
        found = _of_ensemble(model, batch, num_samples, settings)
    else:
        found = _of_one_order(model, batch, num_samples, settings)
    num_particles = max(num_samples, settings.num_particles)
    value, is_exact = found.value, found.is_exact
    ess = found.ess.minimum(torch.where(is_exact, num_samples, num_particles).to(found.ess))
    unsure = ess[~is_exact]
    few = few_draws(unsure, num_particles, "independent particles", _ADVICE) if len(unsure) else ()
    return Imputation(
        found.samples,
        value.new_full((len(batch), num_samples), 1 / num_samples),
        _mask(batch),
        ess,
        Estimate(
            value, "exact" if bool(is_exact.all()) else "lower_bound", std_error=found.std_error
        ),
        found.methods,
        (*few, *_missed(found.gain)),
    )


@dataclass(frozen=True)
class _Completions:
    """Equally weighted completions of some rows.

    Attributes:
        samples: [rows, samples, *shape].
        value: [rows], log p(observed) or the estimate of particles.
        std_error: [rows], of it.
        ess: [rows], effective number of draws.
        gain: [rows], nats by which moves raised log p beyond chance; 0 if they did not.
        is_exact: [rows] bool.
        methods: of each row, in words.
    """

    samples: Tensor
    value: Tensor
    std_error: Tensor
    ess: Tensor
    gain: Tensor
    is_exact: Tensor
    methods: tuple[str, ...]


def _of_ensemble(
    ensemble: OrderEnsemble, batch: Batch, num_samples: int, settings: ParticleFilter
) -> _Completions:
    first, *others = (ensemble.with_order(order).eval() for order in ensemble.orders)
    with noise_for(Purpose.ORDERS):
        found = _of_one_order(first, batch, num_samples, settings)
    for number, member in enumerate(others, 1):
        with noise_for(Purpose.ORDERS + number):
            one = _of_one_order(member, batch, num_samples, settings)
            found = _mixed(found, one)
    num_orders = ensemble.num_orders
    return _Completions(
        found.samples,
        found.value - torch.tensor(float(num_orders)).log().to(found.value),
        found.std_error,
        found.ess,
        found.gain,
        found.is_exact,
        tuple(f"{method}, for each of {num_orders} orders" for method in found.methods),
    )


def _mixed(sum_: _Completions, one: _Completions) -> _Completions:
    """One more term of the sum over orders; each sample is of an order by its posterior weight.

    A sample goes over to the new order with the share that this has of the sum so far: after
    the last one it is of order m with p(o_m | observed), as in sampling from a stream.
    """
    value = torch.logaddexp(sum_.value, one.value)
    share = (one.value - value).exp().nan_to_num(0.0)  # 0 where no order allows for the row
    with noise_for(Purpose.RESAMPLING):
        taken = uniforms_of_rows(tuple(one.samples.shape[:2]), share)
    taken = taken < share.unsqueeze(1)
    taken = taken.reshape(*taken.shape, *[1] * (one.samples.ndim - 2))

    def spread(weight: Tensor, ess: Tensor) -> Tensor:
        return torch.where(weight > 0, weight.square() / ess, 0.0)

    both = zip(sum_.methods, one.methods, strict=True)
    return _Completions(
        torch.where(taken, one.samples, sum_.samples),
        value,
        ((1 - share) * sum_.std_error).hypot(share * one.std_error),
        1 / (spread(1 - share, sum_.ess) + spread(share, one.ess)),
        sum_.gain.maximum(one.gain),
        sum_.is_exact & one.is_exact,
        tuple(a if b in a else f"{a} or {b}" for a, b in both),
    )


def _of_one_order(
    model: AutoregressiveModel, batch: Batch, num_samples: int, settings: ParticleFilter
) -> _Completions:
    first = _come_first(model, _mask(batch))
    rows, others = first.nonzero().squeeze(1), (~first).nonzero().squeeze(1)
    if not len(others):
        return _clamped(model, batch, num_samples)
    if not len(rows):
        return _by_particles(model, batch, num_samples, settings)
    with noise_of(rows):
        one = _clamped(model, batch.rows(rows), num_samples)
    with noise_of(others):
        other = _by_particles(model, batch.rows(others), num_samples, settings)
    back = torch.cat((rows, others)).argsort()
    methods = one.methods + other.methods

    def together(a: Tensor, b: Tensor) -> Tensor:
        return torch.cat((a, b))[back]

    return _Completions(
        together(one.samples, other.samples),
        together(one.value, other.value),
        together(one.std_error, other.std_error),
        together(one.ess, other.ess),
        together(one.gain, other.gain),
        together(one.is_exact, other.is_exact),
        tuple(methods[i] for i in back.tolist()),
    )


def _clamped(model: AutoregressiveModel, batch: Batch, num_samples: int) -> _Completions:
    """Ancestral sampling after the observed sites: independent draws, and log p by itself."""
    x, observed = batch.x, _mask(batch)
    sites, seen = _sites(model, x, observed)
    found = ParticleFilter()(model.network, model.head, sites, seen, num_samples, batch.context)
    value = model.log_prob(torch.where(observed, x, 0.0), batch.context, observed)
    said = "exactly, since the observed cells come first in the model's order"
    return _Completions(
        _data(model, found.sites, batch),
        value,
        torch.zeros_like(value),
        torch.full_like(value, num_samples),
        torch.zeros_like(value),
        torch.ones_like(value, dtype=torch.bool),
        (said,) * len(batch),
    )


def _by_particles(
    model: AutoregressiveModel, batch: Batch, num_samples: int, settings: ParticleFilter
) -> _Completions:
    network, head, observed = model.network, model.head, _mask(batch)
    sites, seen = _sites(model, batch.x, observed)
    num_particles = max(num_samples, settings.num_particles)
    found = settings(network, head, sites, seen, num_particles, batch.context)
    moved = metropolis_moves(
        network, head, resampled(found, num_samples), seen, settings.num_moves, batch.context
    )
    value = found.log_evidence.to(batch.x.dtype)
    if model.units is not None:
        value = value + model.units.log_det(observed)
    moves = f" and {settings.num_moves} Metropolis moves" if settings.num_moves else ""
    said = f"by sequential Monte Carlo with {num_particles} particles{moves}"
    return _Completions(
        _data(model, moved.sites, batch),
        value,
        found.std_error.to(value.dtype),
        found.ess.to(value.dtype),
        _beyond_chance(moved.gain).to(value.dtype),
        torch.zeros_like(value, dtype=torch.bool),
        (said,) * len(batch),
    )


def _beyond_chance(gain: Tensor) -> Tensor:
    """Mean gain of each row, [rows], where it is more than four standard errors above a little.

    Moves that keep a distribution raise log p on average only where it was not reached.
    """
    mean = gain.mean(1)
    error = gain.std(1, correction=0) / gain.shape[1] ** 0.5
    return torch.where(mean > _MISSED + 4 * error, mean, 0.0)


def _missed(gain: Tensor) -> tuple[str, ...]:
    missed = int((gain > 0).sum())
    if missed == 0:
        return ()
    rows = "row" if missed == 1 else "rows"
    return (
        f"the particles of {missed:,} {rows} had missed likely completions: moves raised log p by "
        f"{float(gain.max()):.3g} nats at most, and the estimates of log p are too low; {_ADVICE}",
    )


def _come_first(model: AutoregressiveModel, observed: Tensor) -> Tensor:
    """Whether the observed sites of each row, whole ones, are the first of the order: [rows]."""
    network = model.network
    sites = observed.reshape(len(observed), network.num_sites, network.width)
    seen = sites.all(2)[:, network.order]
    whole = (sites.any(2) == sites.all(2)).all(1)
    return whole & (seen[:, 1:] <= seen[:, :-1]).all(1)


def _sites(model: AutoregressiveModel, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and mask as sites, [rows, T, W]; a missing cell is zero."""
    sites = model.to_sites(torch.where(observed, x, 0.0))
    return sites, observed.reshape(sites.shape)


def _data(model: AutoregressiveModel, sites: Tensor, batch: Batch) -> Tensor:
    """[rows, samples, T, W] -> [rows, samples, *shape], observed cells exactly as given."""
    found = model.from_sites(sites.flatten(0, 1)).unflatten(0, sites.shape[:2])
    return torch.where(_mask(batch).unsqueeze(1), batch.x.unsqueeze(1), found)


def _mask(batch: Batch) -> Tensor:
    assert batch.observed is not None
    return batch.observed
