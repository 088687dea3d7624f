"""Sequential Monte Carlo over the sites of an autoregressive model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.applications.imputation_quantiles import systematic
from ancestral.applications.imputing_noise import Purpose, shuffled, uniforms_of_rows
from ancestral.core import IncompatibleChoices, OptionError
from ancestral.core.noise import noise_for
from ancestral.core.pytrees import select
from ancestral.distributions import CellSite, Site, SiteHead
from ancestral.models.autoregressive.decoding import draw_site, refuse_training, step_threads
from ancestral.models.autoregressive.truncation import quantile
from ancestral.networks.causal import CausalNetwork

__all__ = ["Moved", "ParticleFilter", "Particles", "metropolis_moves", "resampled"]


@dataclass(frozen=True)
class ParticleFilter:
    r"""Draw missing sites from the model, weight by the observed ones, resample where need be.

    Sites are gone through in the model's order. A missing one is drawn from its conditional; an
    observed one is clamped, and its probability multiplies the particle's weight. Where the
    effective number of particles of a row falls below a share of them, that row's are
    resampled (systematically). The mean of the weights, over all stretches between resamplings,
    estimates p(observed) without bias.

    With all missing sites after the observed ones the weights are equal, and the result is
    exact: ancestral sampling.

    Args:
        num_particles: of each row, at least; as many as samples are asked for, if that is more.
        resample_below: share of the particles.
        num_moves: Metropolis moves after the last site, each a pass of the network. They tell
            particles apart that have become copies, and notice what all particles have missed.

    References:
        | Gordon, Salmond & Smith (1993), Novel approach to nonlinear/non-Gaussian Bayesian
        | state estimation
        | Del Moral (2004), Feynman-Kac Formulae: section 7.4.2 (the evidence has no bias)
        | Gilks & Berzuini (2001), Following a moving target: Monte Carlo inference for dynamic
        | Bayesian models (moves after resampling)
        | Lee & Whiteley (2018), Variance estimation in the particle filter: equation 9
    """

    num_particles: int = 256
    resample_below: float = 0.5
    num_moves: int = 32

    def __post_init__(self) -> None:
        if self.num_particles < 2:
            raise OptionError(f"expected at least 2 particles, got {self.num_particles}")
        if not 0 <= self.resample_below <= 1 or self.num_moves < 0:
            raise OptionError(
                "expected a share from 0 to 1 to resample below and a number of moves, got "
                f"{self.resample_below} and {self.num_moves}"
            )

    @torch.no_grad()
    def __call__(
        self,
        network: CausalNetwork,
        head: SiteHead,
        x: Tensor,
        seen: Tensor,
        num_particles: int,
        context: Tensor | None = None,
    ) -> Particles:
        """Particles of some rows; inside `own_noise` those of a row do not depend on the others.

        Args:
            network: in evaluation mode.
            head: of its features.
            x: [rows, T, W], anything finite where not seen.
            seen: [rows, T, W] bool.
            num_particles: of each row.
            context: [rows, context_size] or None.
        """
        refuse_training(network)
        with step_threads(network, len(x) * num_particles), noise_for(Purpose.PARTICLES):
            return _filtered(network, head, x, seen, num_particles, context, self.resample_below)


@dataclass(frozen=True)
class Particles:
    """Weighted completions of some rows.

    Attributes:
        sites: [rows, particles, T, W].
        log_weights: [rows, particles], normalised.
        log_evidence: [rows], log of an unbiased estimate of p(seen), in nats of the sites.
        std_error: [rows], of `log_evidence`, from which particles descend from one another.
        ess: [rows], effective number of particles; those that share their first ancestor count
            as one, since the early sites of all of them are copies.
    """

    sites: Tensor
    log_weights: Tensor
    log_evidence: Tensor
    std_error: Tensor
    ess: Tensor


@dataclass(frozen=True)
class Moved:
    """Completions after moves.

    Attributes:
        sites: [rows, samples, T, W].
        gain: [rows, samples], by how much log p rose. Zero on average, where the particles were
            distributed as they should be; more, where they had missed what is likely.
    """

    sites: Tensor
    gain: Tensor


def _filtered(
    network: CausalNetwork,
    head: SiteHead,
    x: Tensor,
    seen: Tensor,
    num_particles: int,
    context: Tensor | None,
    resample_below: float,
) -> Particles:
    x = x.to(network.dtype)
    num_rows, num_sites, width = x.shape
    batch, device = num_rows * num_particles, x.device
    given, known = (part.repeat_interleave(num_particles, 0) for part in (x, seen))
    context = None if context is None else context.repeat_interleave(num_particles, 0)
    some, every = seen.flatten(2).any(2).any(0).tolist(), seen.all(2).all(0).tolist()
    sites = torch.zeros(batch, num_sites, width, dtype=x.dtype, device=device)
    log_weights = torch.zeros(num_rows, num_particles, dtype=torch.float64, device=device)
    total = torch.zeros(num_rows, dtype=torch.float64, device=device)
    ancestor = torch.arange(num_particles, device=device).repeat(num_rows, 1)
    num_resampled = torch.zeros_like(total)
    first = torch.arange(num_rows, device=device).unsqueeze(1) * num_particles
    state, prev = network.init_state(batch, context), None
    for t, index in enumerate(network.order.tolist()):
        features, state = network.step(state, t, prev)
        features = features.to(x.dtype)  # inside an autocast they come in another
        site = head.site(index)
        mask = known[:, index]
        # numbered by the site: what other rows need drawn changes nothing
        with noise_for(index):
            if not some[index]:
                prev = _drawn(site, features, num_rows)
            elif every[index]:
                prev, gain = given[:, index], site.log_prob(features, given[:, index])
            else:
                prev, gain = _clamped(site, features, given[:, index], mask, num_rows)
        sites[:, index] = prev
        if not some[index]:
            continue
        log_weights = log_weights + gain.double().reshape(num_rows, num_particles)
        short = _ess(log_weights) < resample_below * num_particles
        if not bool(short.any()):
            continue
        total = torch.where(short, total + _log_mean(log_weights), total)
        with noise_for(num_sites + index):
            drawn_again = _systematic(log_weights, num_particles)
        chosen = torch.where(
            short.unsqueeze(1), drawn_again, torch.arange(num_particles, device=device)
        )
        log_weights = log_weights.masked_fill(short.unsqueeze(1), 0.0)
        ancestor = ancestor.gather(1, chosen)
        num_resampled = num_resampled + short
        flat = (first + chosen).flatten()
        state, sites, prev = select(state, flat), sites[flat], prev[flat]
    weights = _normalized(log_weights).exp()
    by_ancestor = torch.zeros_like(weights).scatter_add_(1, ancestor, weights)
    alike = by_ancestor.square().sum(1)
    growth = (num_particles / max(1, num_particles - 1)) ** (num_resampled + 1)
    possible = log_weights.isfinite().any(1)
    return Particles(
        sites.unflatten(0, (num_rows, num_particles)),
        _normalized(log_weights),
        total + _log_mean(log_weights),
        (1 - growth * (1 - alike)).clamp_min(0).sqrt(),
        torch.where(possible, 1 / alike, 0.0),
    )


def resampled(particles: Particles, num_samples: int) -> Tensor:
    """Equally weighted completions, in an order that says nothing: [rows, num_samples, T, W]."""
    with noise_for(Purpose.RESAMPLING):
        chosen = _systematic(particles.log_weights, num_samples)
        mixed = chosen.gather(1, shuffled(num_samples, chosen))
    rows = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
    return particles.sites[rows, mixed]


@torch.no_grad()
def metropolis_moves(
    network: CausalNetwork,
    head: SiteHead,
    sites: Tensor,
    seen: Tensor,
    num_moves: int,
    context: Tensor | None = None,
) -> Moved:
    """Completions after moves that leave p(missing | seen) as it is.

    Each move proposes a new value of one missing site and accepts it by the ratio of the joint
    probabilities. The value comes from the conditional given the sites before it, or, every
    other time where codes are few enough to guess, is any code: what the past finds unlikely,
    but what comes later demands, is found so. Only sites before the last seen one are moved:
    later ones are exact draws. The sites take turns at random.

    Args:
        network: in evaluation mode.
        head: of its features.
        sites: [rows, samples, T, W].
        seen: [rows, T, W] bool; sites of which a part is seen are not moved.
        num_moves: passes of the network.
        context: [rows, context_size] or None.
    """
    num_rows, num_samples = sites.shape[:2]
    rank = network.order.argsort()
    last = torch.where(seen.any(2), rank, -1).amax(1, keepdim=True)
    movable = ~seen.any(2) & (rank < last)
    if num_moves == 0 or not bool(movable.any()):
        return Moved(sites, torch.zeros(num_rows, num_samples, device=sites.device))
    with noise_for(Purpose.MOVES):
        turns = _turns(movable, num_moves)
    context = None if context is None else context.repeat_interleave(num_samples, 0)
    first = torch.arange(num_samples, device=sites.device)
    x = sites.flatten(0, 1)
    features = network(x, context)
    terms = head.log_prob(features, x)
    before = terms.sum(1)
    for number, turn in enumerate(turns.T):  # of each row the site to move, or none
        proposal, kept = x.clone(), torch.ones_like(terms, dtype=torch.bool)
        for index in turn[turn >= 0].unique().tolist():
            rows = (turn == index).nonzero().squeeze(1)
            some = (rows.unsqueeze(1) * num_samples + first).flatten()
            site = head.site(index)
            with noise_for(Purpose.MOVES), noise_for(number, rows):
                if number % 2 == 1 and site.num_codes is not None:
                    value = _any_code(site, x[some, index], len(rows))
                else:
                    value = _drawn(site, features[some, index], len(rows))
                    kept[some, index] = False  # whose term cancels against its proposal
            proposal[some, index] = value
        new_features = network(proposal, context)
        new_terms = head.log_prob(new_features, proposal)
        change = torch.where(kept, new_terms - terms, 0.0).sum(1)
        with noise_for(Purpose.MOVES), noise_for(num_moves + number):
            noise = _uniforms(change.unsqueeze(1), num_rows, 1).squeeze(1)
        accepted = noise.log() < change
        x = torch.where(accepted[:, None, None], proposal, x)
        features = torch.where(accepted[:, None, None], new_features, features)
        terms = torch.where(accepted[:, None], new_terms, terms)
    gain = (terms.sum(1) - before).unflatten(0, (num_rows, num_samples))
    return Moved(x.unflatten(0, (num_rows, num_samples)), gain)


def _turns(movable: Tensor, num_moves: int) -> Tensor:
    """The sites that are moved, one after the other in an order of each row's own.

    Args:
        movable: [rows, T] bool.
        num_moves: how many.

    Returns:
        [rows, num_moves]; -1 for rows without a site to move.
    """
    order = shuffled(movable.shape[1], movable)
    # the movable ones first
    order = order.gather(1, (~movable).gather(1, order).long().argsort(dim=1, stable=True))
    moves = torch.arange(num_moves, device=movable.device)
    count = movable.sum(1, keepdim=True).clamp_min(1)
    # every other move is a guess: of an even number of sites, rounds begin one later each time
    shift = torch.where(count % 2 == 0, moves // count, 0)
    turns = order.gather(1, (moves + shift) % count)
    return torch.where(movable.any(1, keepdim=True), turns, -1)


def _any_code(site: Site, like: Tensor, num_rows: int) -> Tensor:
    assert site.num_codes is not None
    noise = _uniforms(like, num_rows, like.shape[1])
    # in single precision a product may round up to the number of codes
    return (noise * site.num_codes).floor().clamp_max(site.num_codes - 1)


def _drawn(site: Site, features: Tensor, num_rows: int) -> Tensor:
    return draw_site(site, features, _uniforms(features, num_rows, site.num_uniforms))


def _uniforms(features: Tensor, num_rows: int, number: int) -> Tensor:
    """[rows * particles, number], in the precision of the features."""
    shape = (num_rows, len(features) // num_rows, number)
    return uniforms_of_rows(shape, features).flatten(0, 1)


def _clamped(
    site: Site, features: Tensor, given: Tensor, known: Tensor, num_rows: int
) -> tuple[Tensor, Tensor]:
    """A site that is seen in some rows: its value, and log p of what is seen of it."""
    whole = known.all(1)
    if bool((known.any(1) == whole).all()):
        value = torch.where(known, given, _drawn(site, features, num_rows))
        return value, torch.where(whole, site.log_prob(features, given), 0.0)
    if isinstance(site, CellSite):
        value = torch.where(known, given, _drawn(site, features, num_rows))
        cells = features[..., : site.head.num_features].unflatten(-1, site.head.feature_shape)
        return value, site.head.log_prob(cells, given, known)
    if site.num_codes is None:
        raise IncompatibleChoices(
            "expected the parts of a site all observed or all missing, got some of each",
            hint="mark the whole pixel as missing: its parts are modelled together",
        )
    noise = _uniforms(features, num_rows, site.width)
    value, gain = features.new_empty(len(features), 0), features.new_zeros(len(features))
    for c in range(site.width):
        table = site.table(features, value)
        part = torch.where(known[:, c], given[:, c], quantile(table, noise[:, c]))
        mass = table.gather(1, part.long().unsqueeze(1)).squeeze(1)
        gain = gain + torch.where(known[:, c], mass.log(), 0.0)
        value = torch.cat((value, part.unsqueeze(1)), 1)
    return value, gain


def _normalized(log_weights: Tensor) -> Tensor:
    """Log-weights whose exponentials sum to 1; all equal if none is possible."""
    total = log_weights.logsumexp(1, keepdim=True)
    equal = -math.log(log_weights.shape[1])
    return torch.where(total.isfinite(), log_weights - total, equal)


def _ess(log_weights: Tensor) -> Tensor:
    return (-(2 * _normalized(log_weights)).logsumexp(1)).exp()


def _log_mean(log_weights: Tensor) -> Tensor:
    return log_weights.logsumexp(1) - math.log(log_weights.shape[1])


def _systematic(log_weights: Tensor, num: int) -> Tensor:
    """Numbers of particles, each as often as its weight says, [rows, num]."""
    return systematic(_normalized(log_weights).exp(), num)
