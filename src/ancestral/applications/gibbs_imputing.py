"""Missing cells of latent-variable models by Markov chains over z and the missing cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ancestral.applications.gibbs_moves import Chains, moves_of
from ancestral.applications.importance_imputing import (
    ImportanceImputing,
    Proposals,
    evidence_in,
    proposals,
    resampled_latents,
)
from ancestral.applications.imputation import Imputation, few_draws
from ancestral.applications.imputing_cells import completed_with, decoded
from ancestral.applications.imputing_noise import Purpose, shuffled
from ancestral.core import (
    AncestralError,
    Batch,
    IncompatibleChoices,
    OptionError,
    frozen,
    seeded,
)
from ancestral.core.noise import noise_for, noise_of_copies
from ancestral.inference.mcmc import effective_sample_size
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["MetropolisWithinGibbs", "PseudoGibbs"]

_FEWEST_CHAINS = 10  # of a row, which also tell each other's units
_MOST_CHAINS = 20
_TRAVELLING = 0.5  # share of the sweeps that do not count, each with moves that need no q
_LEARNING = (0.25, 0.5, 0.75)  # shares of them after which units are learnt
_ADVICE = "take more sweeps, or train on rows with gaps"


@dataclass(frozen=True)
class MetropolisWithinGibbs:
    r"""Chains on p(z, x_mis | x_obs), which they leave as it is however bad q is.

    A sweep draws x_mis ~ p(x | z) and proposes z' ~ q(z | x_obs, x_mis), accepted by
    Metropolis-Hastings (`gibbs_moves.EncoderMove`). Each `local_every`-th also proposes from
    q(z | x_obs), and makes a move that needs no q: Hamiltonian where z is continuous, flips
    where it is binary or categorical. So chains get about even where q never proposes what the
    posterior holds likely; where q is good they would not be needed.

    Chains start from importance resampling. The first half of the sweeps does not count, and
    its first half has local moves in each. All chains of all rows move as one batch.

    Args:
        num_sweeps: of each chain.
        local_every: sweeps between moves that need no q.
        start: importance sampling, from which chains start, and which gives log p(x_obs).

    Cost:
        For each row 10 to 20 chains or more; of each, every sweep a pass of the encoder and of
        the decoder, and with local moves some 15 passes more.

    References:
        | Mattei & Frellsen (2018), Leveraging the Exact Likelihood of Deep Latent Variable
        | Models: section 3.2, algorithm 1
    """

    num_sweeps: int = 120
    local_every: int = 3
    start: ImportanceImputing = field(default_factory=ImportanceImputing)

    def __post_init__(self) -> None:
        _check_sweeps(self.num_sweeps)
        if self.local_every < 1:
            raise OptionError(f"expected local_every >= 1, got {self.local_every}")

    def numbers_of_a_row(self, num_samples: int, num_features: int, latent_size: int) -> int:
        """Numbers that are held at once for each row."""
        return self.start.numbers_of_a_row(num_samples, num_features, latent_size)

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
        adapted = posterior.adapted(model, batch)
        found = proposals(model, adapted, batch, self.start.num_proposals)
        return self.completed(model, adapted, batch, found, num_samples)

    def completed(
        self,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        found: Proposals,
        num_samples: int,
    ) -> Imputation:
        """Completions by chains that start from proposals that have been made."""
        by_q, local = moves_of(model, posterior, batch, found.z)
        settled = self.num_sweeps - self.num_sweeps // 2
        learn_at = {round(share * settled) for share in _LEARNING}
        places: list[Tensor] = []

        def sweep(chains: Chains, number: int) -> Chains:
            if number == settled:
                for move in local:
                    move.settle()
            for move in by_q:
                chains = move(chains)
            early = number < _TRAVELLING * settled  # chains may have far to go
            if early or not by_q or number % self.local_every == 0:
                for move in local:
                    chains = move(chains)
            places.append(chains.z)
            if number + 1 in learn_at:
                for move in local:
                    move.learnt(torch.cat(places))
                places.clear()
            elif number >= settled:
                places.clear()
            return chains

        said = f"by Metropolis-within-Gibbs, {self.num_sweeps} sweeps"
        run = _Run(model, batch, found, num_samples, self.num_sweeps, said)
        with frozen(model), frozen(posterior), noise_for(Purpose.CHAINS):
            return run(sweep)


@dataclass(frozen=True)
class PseudoGibbs:
    r"""In turn z ~ q(z | x_obs, x_mis) and x_mis ~ p(x | z), always accepted: biased.

    What the chain tends to is p(x_mis | x_obs) only where q is the exact posterior; where it is
    nearly so, pseudo-Gibbs is nearly right, and nothing tells how nearly.
    `MetropolisWithinGibbs` is the same with an acceptance step, which mends it.

    Args:
        num_sweeps: of each chain, of which the first half does not count.
        start: importance sampling, from which chains start, and which gives log p(x_obs).

    References:
        | Rezende, Mohamed & Wierstra (2014), Stochastic backpropagation, appendix F
        | Heckerman et al. (2000), Dependency networks for inference (the name)
    """

    num_sweeps: int = 200
    start: ImportanceImputing = field(default_factory=ImportanceImputing)

    def __post_init__(self) -> None:
        _check_sweeps(self.num_sweeps)

    def numbers_of_a_row(self, num_samples: int, num_features: int, latent_size: int) -> int:
        """Numbers that are held at once for each row."""
        return self.start.numbers_of_a_row(num_samples, num_features, latent_size)

    def __call__(
        self, model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int
    ) -> Imputation:
        """Completions of some rows.

        Args:
            model: p.
            posterior: q, which reads x.
            batch: rows, with `observed`.
            num_samples: of each row.

        Raises:
            IncompatibleChoices: q is no encoder that could read completed rows.
        """
        adapted = posterior.adapted(model, batch)
        found = proposals(model, adapted, batch, self.start.num_proposals)

        def sweep(chains: Chains, number: int) -> Chains:
            del number
            x = completed_with(batch, chains.cells.sample())
            with noise_of_copies(0, len(x)):
                z = _encoded(model, adapted, x).reshape(chains.z.shape)
            return Chains(z, decoded(model, z))

        said = (
            f"by pseudo-Gibbs, {self.num_sweeps} sweeps (biased: q(z | x) was taken for the "
            "posterior)"
        )
        run = _Run(model, batch, found, num_samples, self.num_sweeps, said)
        with frozen(model), frozen(posterior), noise_for(Purpose.CHAINS):
            return run(sweep)


def _encoded(model: LatentVariableModel, posterior: Posterior, x: Tensor) -> Tensor:
    try:
        return posterior.draw(model, Batch(x.flatten(0, 1)), 1).z
    except AncestralError:
        raise IncompatibleChoices(
            f"pseudo-Gibbs needs an encoder that reads completed rows, got a "
            f"{type(posterior).__name__}",
            hint="use `importance`, or `metropolis`, which needs none",
        ) from None


@dataclass(frozen=True, eq=False)
class _Run:
    """Chains of some rows, some rows at a time, from their start to what is kept of them."""

    model: LatentVariableModel
    batch: Batch
    found: Proposals
    num_samples: int
    num_sweeps: int
    said: str

    def __call__(self, sweep: Callable[[Chains, int], Chains]) -> Imputation:
        model, batch, num_samples = self.model, self.batch, self.num_samples
        num_kept = max(1, self.num_sweeps // 2)
        num_chains = max(
            _FEWEST_CHAINS, min(num_samples, _MOST_CHAINS), -(-num_samples // num_kept)
        )
        num_states = -(-num_samples // num_chains)  # of each chain
        z = resampled_latents(self.found, num_chains)
        chains = Chains(z, decoded(model, z))
        with seeded(0):  # one for all rows
            direction = torch.randn(z.shape[-1], dtype=z.dtype, device=z.device)
        saved, trace, total = [], [], torch.zeros_like(batch.x, dtype=torch.float64)
        first = self.num_sweeps - num_kept
        when = {first + (i + 1) * num_kept // num_states - 1 for i in range(num_states)}
        for number in range(self.num_sweeps):
            with noise_for(number):
                chains = sweep(chains, number)
            if number < first:
                continue
            total += chains.cells.mean().double().mean(0)
            log_joint = model.log_prior(chains.z) + chains.cells.log_prob(batch.x, batch.observed)
            trace.append(torch.stack((log_joint, chains.z @ direction), -1))
            if number in when:
                saved.append(completed_with(batch, chains.cells.sample()))
        samples = torch.cat(saved).transpose(0, 1)  # [rows, chains * states, *shape]
        mixed = shuffled(samples.shape[1], samples[:, 0])[:, :num_samples]
        samples = samples[torch.arange(len(batch), device=samples.device).unsqueeze(1), mixed]
        ess = _effective(trace, num_samples)
        assert batch.observed is not None
        return Imputation(
            samples,
            samples.new_full((len(batch), num_samples), 1 / num_samples),
            batch.observed,
            ess.to(batch.x.dtype),
            evidence_in(self.found.evidence, batch.x.dtype),
            (self.said,) * len(batch),
            few_draws(ess, num_samples, "independent states of Markov chains", _ADVICE),
            means=completed_with(batch, (total / num_kept).to(batch.x.dtype)),
        )


def _effective(trace: list[Tensor], num_samples: int) -> Tensor:
    """Independent draws that some of the states of all chains are worth at most, [rows]."""
    if len(trace) < 4:  # too few to tell
        return trace[0].new_full((trace[0].shape[1],), float("nan"))
    return effective_sample_size(torch.stack(trace)).amin(-1).clamp_max(num_samples)


def _check_sweeps(num_sweeps: int) -> None:
    if num_sweeps < 8:
        raise OptionError(f"expected at least 8 sweeps, got {num_sweeps}")
