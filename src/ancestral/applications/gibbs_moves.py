"""Moves of Markov chains over z that leave p(z | observed cells) as it is."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.applications.imputing_cells import Cells, completed_with, decoded
from ancestral.core import AncestralError, Batch, IncompatibleChoices, NotExact
from ancestral.core.noise import noise_of_copies, uniform_noise
from ancestral.distributions import OneHot
from ancestral.inference.mcmc import StepSizeRule, evaluated, hmc
from ancestral.inference.posteriors import (
    HamiltonianVariational,
    ImportanceResampled,
    ParametricPosterior,
    Posterior,
    Refined,
    RejectionSampled,
    discrete_layers,
)
from ancestral.models import LatentVariableModel

__all__ = ["Chains", "CodeFlips", "EncoderMove", "Hamiltonian", "Independence", "Move", "moves_of"]

_LEAPFROG_STEPS = 4
_GAIN = 2.0  # of step sizes: a factor of two after a transition that was too short
_JITTER = 0.2  # of step sizes, so that no trajectory is a whole period for long
_FLIPS = 8
_SHRINKAGE = 1e-3  # of covariances towards the unit matrix
_FEWEST_PLACES = 5  # of chains, for each latent variable, for a covariance


@dataclass(frozen=True, eq=False)
class Chains:
    """Where the chains of some rows are.

    Attributes:
        z: [chains, rows, L].
        cells: p(x | z).
    """

    z: Tensor
    cells: Cells

    def moved(self, accepted: Tensor, z: Tensor, cells: Cells) -> Chains:
        """Elsewhere, where `accepted` [chains, rows]."""
        return Chains(
            torch.where(accepted.unsqueeze(-1), z, self.z), cells.where(accepted, self.cells)
        )


class Move(ABC):
    """Something that takes all chains of all rows one step further, at once."""

    @abstractmethod
    def __call__(self, chains: Chains) -> Chains:
        """The chains after it."""

    def learnt(self, places: Tensor) -> None:
        """Told where the chains have been, [places, rows, L], while they do not count yet."""
        del places

    def settle(self) -> None:  # noqa: B027 - most moves learn nothing
        """Learn no more: from now on the chains count."""


class EncoderMove(Move):
    r"""A proposal z' ~ q(z | x_obs, x_mis), with x_mis ~ p(x | z) drawn anew before.

    It is accepted with probability

    .. math:: \min\Big(1, \frac{p(x, z')\, q(z | x)}{p(x, z)\, q(z' | x)}\Big)

    which leaves p(z, x_mis | x_obs) as it is, however good q is.

    Args:
        model: p.
        posterior: q, with a density at any z.
        batch: rows, with `observed`.

    References:
        | Mattei & Frellsen (2018), Leveraging the Exact Likelihood of Deep Latent Variable
        | Models: algorithm 1
    """

    def __init__(
        self, model: LatentVariableModel, posterior: ParametricPosterior, batch: Batch
    ) -> None:
        self._model, self._posterior, self._batch = model, posterior, batch

    def __call__(self, chains: Chains) -> Chains:
        """The chains after it."""
        x = completed_with(self._batch, chains.cells.sample())
        q = self.given(x)
        with noise_of_copies(0, len(x)):
            z = _shaped(q.sample(torch.Size((1,))), chains.z)
        cells = decoded(self._model, z)
        log_ratio = self._log_joint(cells, z, x) - self._log_joint(chains.cells, chains.z, x)
        log_ratio = log_ratio + (_log_q(q, chains.z) - _log_q(q, z))
        return chains.moved(_accepted(log_ratio), z, cells)

    def given(self, x: Tensor) -> Distribution:
        """Q given completed rows [chains, rows, *shape], with batch shape [chains * rows]."""
        return self._posterior.distribution(self._model, Batch(x.flatten(0, 1)))

    def _log_joint(self, cells: Cells, z: Tensor, x: Tensor) -> Tensor:
        return self._model.log_prior(z) + cells.log_prob(x)


class Independence(Move):
    """z' ~ q(z | x_obs), accepted by the ratio of the importance weights.

    Args:
        model: p.
        posterior: q, with a density at any z.
        batch: rows, with `observed`.
    """

    def __init__(
        self, model: LatentVariableModel, posterior: ParametricPosterior, batch: Batch
    ) -> None:
        self._model, self._batch = model, batch
        self._q = posterior.distribution(model, batch)

    def __call__(self, chains: Chains) -> Chains:
        """The chains after it."""
        z = self._q.sample(torch.Size((len(chains.z),)))
        cells = decoded(self._model, z)
        log_ratio = self._log_weight(cells, z) - self._log_weight(chains.cells, chains.z)
        return chains.moved(_accepted(log_ratio), z, cells)

    def _log_weight(self, cells: Cells, z: Tensor) -> Tensor:
        x, observed = self._batch.x, self._batch.observed
        return self._model.log_prior(z) + cells.log_prob(x, observed) - self._q.log_prob(z)


class Hamiltonian(Move):
    """Hamiltonian Monte Carlo on p(z | x_obs), where z is continuous: no q has a part in it.

    While the chains do not count, step sizes follow the acceptance, and the units of each row
    the covariance of where its chains have been.

    Args:
        model: p.
        batch: rows, with `observed`.
        like: [samples, rows, L], whose spread is the first unit.
    """

    def __init__(self, model: LatentVariableModel, batch: Batch, like: Tensor) -> None:
        self._model, self._batch = model, batch
        spread = like.std(0) if len(like) > 1 else torch.ones_like(like[0])
        self._axes = torch.diag_embed(spread.clamp(1e-3, 1.0))
        self._step_size = like.new_full((like.shape[1],), 0.3)
        # no upper limit that matters: the first units may be much too small
        self._rule: StepSizeRule | None = StepSizeRule(gain=_GAIN, largest=1e6)

    def __call__(self, chains: Chains) -> Chains:
        """The chains after it."""
        x, observed, axes = self._batch.x, self._batch.observed, self._axes

        def placed(u: Tensor) -> Tensor:
            return (u.transpose(0, 1) @ axes.mT).transpose(0, 1)

        # relative to where each chain is: what axes make of u = 0 needs no inverse
        start = chains.z
        evaluate = evaluated(lambda u: self._model.log_joint(x, start + placed(u), observed))
        noise = uniform_noise((1, len(self._step_size)), self._step_size).squeeze(0)
        jitter = 1 + _JITTER * (2 * noise - 1)
        step = (self._step_size * jitter).unsqueeze(-1)
        moved = hmc(evaluate, evaluate(torch.zeros_like(start)), step, _LEAPFROG_STEPS)
        if self._rule is not None:
            assert moved.alignment is not None
            self._step_size = self._rule.updated(
                self._step_size, moved.acceptance.mean(0), moved.alignment.mean(0)
            )
        z = start + placed(moved.point.z)
        return Chains(z, decoded(self._model, z))

    def learnt(self, places: Tensor) -> None:
        """Units from the covariance of the places."""
        count, size = len(places), places.shape[-1]
        if count < _FEWEST_PLACES * size:
            return
        centred = (places - places.mean(0)).transpose(0, 1).double()
        covariance = centred.mT @ centred / count
        unit = torch.eye(size, dtype=covariance.dtype, device=covariance.device)
        weight = count / (count + 5.0)
        covariance = weight * covariance + _SHRINKAGE * (1 - weight) * unit
        factor, failed = torch.linalg.cholesky_ex(covariance)
        good = (failed == 0) & factor.isfinite().all((-2, -1))
        factor = torch.where(good[:, None, None], factor.to(self._axes.dtype), self._axes)
        self._axes = factor
        self._step_size = torch.where(good, 0.3, self._step_size)

    def settle(self) -> None:
        """Keep step sizes as they are."""
        self._rule = None


class CodeFlips(Move):
    """Binary units flipped and categorical ones redrawn, some at random, one after the other.

    Args:
        model: p.
        batch: rows, with `observed`.
        sizes: of the blocks of z: 1 for a binary unit, the number of codes for a categorical.
    """

    def __init__(self, model: LatentVariableModel, batch: Batch, sizes: list[int]) -> None:
        self._model, self._batch = model, batch
        device = batch.x.device
        block = torch.arange(len(sizes), device=device)
        self._width = torch.tensor(sizes, device=device)
        self._block_of = block.repeat_interleave(self._width)  # [L]
        first = self._width.cumsum(0) - self._width
        self._code_of = torch.arange(len(self._block_of), device=device) - first[self._block_of]

    def __call__(self, chains: Chains) -> Chains:
        """The chains after it."""
        now = self._log_joint(chains.cells, chains.z)
        for _ in range(_FLIPS):
            z = self._proposed(chains.z)
            cells = decoded(self._model, z)
            then = self._log_joint(cells, z)
            accepted = _accepted(then - now)
            chains, now = chains.moved(accepted, z, cells), torch.where(accepted, then, now)
        return chains

    def _proposed(self, z: Tensor) -> Tensor:
        shape = z.shape[:-1]
        num_blocks = len(self._width)
        # in single precision a product may round up to the number of blocks
        chosen = (uniform_noise(shape, z) * num_blocks).long().clamp_max(num_blocks - 1)
        width = self._width[chosen]
        code = (uniform_noise(shape, z) * width).long().minimum(width - 1).unsqueeze(-1)
        here = self._block_of == chosen.unsqueeze(-1)
        redrawn = (self._code_of == code).to(z.dtype)
        value = torch.where((width == 1).unsqueeze(-1), 1 - z, redrawn)
        return torch.where(here, value, z)

    def _log_joint(self, cells: Cells, z: Tensor) -> Tensor:
        x, observed = self._batch.x, self._batch.observed
        return self._model.log_prior(z) + cells.log_prob(x, observed)


def moves_of(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, drawn: Tensor
) -> tuple[list[Move], list[Move]]:
    """Moves by q, and moves that do without one, as far as model and posterior allow them.

    Args:
        model: p.
        posterior: q, already adapted to the rows.
        batch: rows, with `observed`.
        drawn: [samples, rows, L], from q.

    Raises:
        NotExact: there are none.
    """
    by_q: list[Move] = []
    local: list[Move] = []
    posterior = _with_density(posterior)
    if isinstance(posterior, ParametricPosterior) and _scores(
        lambda: posterior.log_prob(model, batch, drawn[:1])
    ):
        local.append(Independence(model, posterior, batch))
        encoder = EncoderMove(model, posterior, batch)
        if _scores(lambda: encoder.given(batch.x.expand(2, *batch.x.shape))):
            by_q.append(encoder)
    sizes = _code_sizes(posterior, model, batch)
    if sizes is not None:
        local.append(CodeFlips(model, batch, sizes))
    elif not bool(((drawn == 0) | (drawn == 1)).all()):
        local.append(Hamiltonian(model, batch, drawn))
    if not by_q and not local:
        raise NotExact(
            f"there is no Markov chain for a {type(posterior).__name__}",
            hint="use importance sampling",
        )
    return by_q, local


def _scores(attempt: Callable[[], object]) -> bool:
    """Whether a density can be asked for; some posteriors have none at a given z, or of new x."""
    with contextlib.suppress(NotImplementedError, AncestralError):
        attempt()
        return True
    return False


def _with_density(posterior: Posterior) -> Posterior:
    """What a posterior without a density at a given z proposes from first."""
    if isinstance(posterior, RejectionSampled | ImportanceResampled):
        return _with_density(posterior.base)
    if isinstance(posterior, HamiltonianVariational):
        return _with_density(posterior.initial)
    if isinstance(posterior, Refined):
        return _with_density(posterior.encoder)
    return posterior


def _code_sizes(
    posterior: Posterior, model: LatentVariableModel, batch: Batch
) -> list[int] | None:
    """Sizes of the blocks of z; None if it is not discrete, or q does not say."""
    if not isinstance(posterior, ParametricPosterior):
        return None
    try:
        layers = discrete_layers(posterior.distribution(model, batch), "imputation")
    except IncompatibleChoices:
        return None
    sizes: list[int] = []
    for head in layers.heads:
        size = head.num_levels if isinstance(head, OneHot) else 1
        sizes += [size] * (head.event_shape[0] // size)
    return sizes


def _shaped(z: Tensor, like: Tensor) -> Tensor:
    return z.reshape(like.shape)


def _log_q(q: Distribution, z: Tensor) -> Tensor:
    """Of q with batch shape [chains * rows], at z [chains, rows, L]: [chains, rows]."""
    return q.log_prob(z.flatten(0, 1)).reshape(z.shape[:-1])


def _accepted(log_ratio: Tensor) -> Tensor:
    """Metropolis-Hastings; a proposal where anything is undefined is not taken."""
    defined = torch.where(log_ratio.isnan(), -torch.inf, log_ratio)
    return uniform_noise(log_ratio.shape, log_ratio).log() < defined
