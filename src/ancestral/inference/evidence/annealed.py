"""Annealed importance sampling, forward and in reverse, on all data and chains at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from ancestral.core import (
    Batch,
    Estimate,
    IncompatibleChoices,
    NotExact,
    OptionError,
    Precision,
    derived_seed,
    frozen,
    matrix_products,
    seeded,
)
from ancestral.inference.evidence.annealing import (
    AnnealingPath,
    PathPoint,
    Start,
    path_of,
    sigmoid_schedule,
)
from ancestral.inference.evidence.importance import summarized
from ancestral.inference.mcmc import StepSizeRule, Transition, hmc
from ancestral.inference.posteriors import Posterior
from ancestral.models import Autoencoder, LatentVariableModel

__all__ = ["Annealed", "AnnealedImportance", "annealed_estimate", "latent_model"]

_JITTER = 0.2  # of step sizes, so that no trajectory is a whole period for long
_FIRST_STEP = 0.3  # at most, in units of the scale at temperature 0
_QUARTER_PERIOD = math.pi / 2  # of a density with unit scales, such as that at temperature 0
_FEWEST_CHAINS = 2  # effective ones, for a standard error
_ACCELERATOR_ROWS = 32_768
_OF_METRIC = -1  # a stream of random numbers apart from those of groups of rows


@dataclass(frozen=True, eq=False)
class Annealed:
    """What a run of annealed importance sampling leaves.

    Attributes:
        log_w: [chains, batch], float64.
        step_sizes: [T - 1, batch], of each transition, for a reverse run.
        acceptance: [T - 1], mean acceptance of each transition.
    """

    log_w: Tensor
    step_sizes: Tensor
    acceptance: Tensor


@dataclass(frozen=True)
class AnnealedImportance:
    r"""log p(x) by annealed importance sampling with Hamiltonian transitions.

    Chains start at z_0 ~ g and pass through f_b = g^{1-b} p(x, z)^b (g normalised) for
    0 = b_0 < ... < b_T = 1, with a transition that leaves f_b invariant between two weights:

    .. math:: \log w = \sum_{t=1}^{T} \log f_{b_t}(z_{t-1}) - \log f_{b_{t-1}}(z_{t-1}), \quad
              \log \hat p(x) = \log \frac{1}{C} \sum_c w_c

    E w = p(x) exactly, so the value is a lower bound in expectation, whatever the step sizes.
    They are lengths in the units of a `Metric`, of each direction at each temperature. Their
    common factor for a datum follows the acceptance of further chains (`num_pilots`), up to
    trajectories of a quarter of a period. Those have no weight: a chain whose step size depended
    on its own past would not leave f_b invariant.

    Args:
        num_temperatures: T; the gap to log p falls with 1 / T.
        num_chains: C for each datum.
        num_leapfrog_steps: of each transition.
        start: g: q(z | x), the prior, or (auto) q where it has a density and the prior elsewhere.
            From q a tenth of the temperatures do; where q misses a mode, chains from the prior
            may find it.
        seed: the same seed and batches give the same numbers.
        precision: of the networks' matrix products.
        rows_at_once: (chain, datum) pairs that move together, which bounds the memory; None: as
            fits the device.
        rule: of the step sizes.
        on_rows: told, while it works, how many data are done (fractions, too).

    Cost:
        (T - 1) num_leapfrog_steps (C + num_pilots) evaluations of the decoder and of its gradient
        for each datum: minutes for a hundred data.

    References:
        | Annealed Importance Sampling (Neal, 2001), equations 2 to 11
        | On the Quantitative Analysis of Decoder-Based Generative Models (Wu, Burda, Salakhutdinov
        | & Grosse, 2017)
    """

    num_temperatures: int = 1000
    num_chains: int = 16
    num_leapfrog_steps: int = 5
    start: Start = Start.AUTO
    seed: int = 0
    precision: Precision = Precision.FLOAT32
    rows_at_once: int | None = None
    rule: StepSizeRule = field(default_factory=StepSizeRule)
    on_rows: Callable[[float], None] | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("num_temperatures", 1),
            ("num_chains", 1),
            ("num_leapfrog_steps", 1),
        ):
            if getattr(self, name) < least:
                raise OptionError(f"expected {name} >= {least}, got {getattr(self, name)}")
        if self.start not in tuple(Start):
            names = " or ".join(repr(str(s)) for s in Start)
            raise OptionError(f"expected start to be {names}, got {self.start!r}")
        object.__setattr__(self, "start", Start(self.start))

    @property
    def num_pilots(self) -> int:
        """Chains for each datum that set the step sizes of the others: a quarter, 2 at least."""
        return max(2, self.num_chains // 4)

    def in_words(self) -> str:
        """What was done, in a sentence.

        Example:
            >>> AnnealedImportance(100).in_words()
            'annealed from the posterior if it has a density, else from the prior: 16 chains of 100
            temperatures with 5 leapfrog steps each'
        """
        start = {
            Start.AUTO: "posterior if it has a density, else from the prior",
            Start.PRIOR: "prior",
            Start.POSTERIOR: "posterior",
        }[self.start]
        return (
            f"annealed from the {start}: {self.num_chains} chains of "
            f"{self.num_temperatures:,} temperatures with {self.num_leapfrog_steps} leapfrog "
            "steps each"
        )

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batches: Iterable[Batch]
    ) -> Estimate:
        """Lower bounds in expectation, with standard errors from the spread of the chains."""
        latent = latent_model(model, "annealed importance sampling")
        groups = self.groups(batches, self.num_chains + self.num_pilots)
        parts = []
        for number, group in enumerate(groups):
            with seeded(derived_seed(self.seed, number)):
                log_w = self.forward(latent, posterior, group).log_w
            parts.append(annealed_estimate(log_w))
        return Estimate.concatenate(parts)

    def groups(self, batches: Iterable[Batch], chains: int) -> Iterable[Batch]:
        """The data in pieces whose chains move together."""
        for batch in batches:
            size = max(1, self._rows_at_once(batch) // chains)
            for first in range(0, len(batch), size):
                yield batch.rows(slice(first, first + size))

    def forward(
        self, model: LatentVariableModel, posterior: Posterior | None, batch: Batch
    ) -> Annealed:
        """All chains of all rows, from g to the posterior."""
        with frozen(model), self._products(model, batch):
            path = self._path(model, posterior, batch)
            betas = sigmoid_schedule(self.num_temperatures)
            point = path.begin(path.draw(self.num_chains + self.num_pilots), 0.0)
            log_w = torch.zeros(point.first.shape, dtype=torch.float64, device=point.z.device)
            first_step = min(_FIRST_STEP, _QUARTER_PERIOD / self.num_leapfrog_steps)
            step_size = point.first.new_full((len(batch),), first_step)
            step_sizes, acceptance = [], []
            for b, next_b in pairwise(betas):
                log_w += path.increment(point, b, next_b).double()
                if next_b < 1:
                    moved = self._move(path, path.at(point, next_b), step_size)
                    point = moved.point
                    step_sizes.append(step_size)
                    acceptance.append(moved.acceptance[: self.num_chains].mean())
                    assert moved.alignment is not None
                    pilots = torch.stack((moved.acceptance, moved.alignment))
                    pilots = pilots[:, self.num_chains :].mean(1)
                    step_size = self.rule.updated(step_size, *pilots)
                self._tell(batch)
        return Annealed(
            log_w[: self.num_chains],
            torch.stack(step_sizes) if step_sizes else log_w.new_zeros(0, len(batch)),
            torch.stack(acceptance) if acceptance else log_w.new_zeros(0),
        )

    def reverse(
        self,
        model: LatentVariableModel,
        posterior: Posterior | None,
        batch: Batch,
        z: Tensor,
        step_sizes: Tensor,
    ) -> Tensor:
        """The same path back, from exact draws of the posterior.

        Args:
            model: p.
            posterior: q, if the path starts there.
            batch: rows.
            z: [chains, batch, L], each from p(z | x).
            step_sizes: [T - 1, batch], of a forward run: they must not depend on z.

        Returns:
            Log w [chains, batch] with E 1 / w = 1 / p(x).
        """
        with frozen(model), self._products(model, batch):
            path = self._path(model, posterior, batch)
            betas = sigmoid_schedule(self.num_temperatures)
            point = path.begin(z, 1.0)
            log_w = torch.zeros(point.first.shape, dtype=torch.float64, device=z.device)
            for t in range(self.num_temperatures, 0, -1):
                if t < self.num_temperatures:
                    start = path.at(point, betas[t])
                    point = self._move(path, start, step_sizes[t - 1]).point
                log_w += path.increment(point, betas[t - 1], betas[t]).double()
                self._tell(batch)
        return log_w

    def _rows_at_once(self, batch: Batch) -> int:
        on_cpu = batch.x.device.type == "cpu"
        return self.rows_at_once or (1000 if on_cpu else _ACCELERATOR_ROWS)

    def _path(
        self, model: LatentVariableModel, posterior: Posterior | None, batch: Batch
    ) -> AnnealingPath:
        # the same there and back: what it draws is a function of the seed
        with seeded(derived_seed(self.seed, _OF_METRIC)):
            return path_of(self.start, model, posterior, batch, self._rows_at_once(batch))

    def _products(self, model: LatentVariableModel, batch: Batch) -> torch.autocast:
        return matrix_products(self.precision, next(model.parameters(), batch.x))

    def _move(
        self, path: AnnealingPath, point: PathPoint, step_size: Tensor
    ) -> Transition[PathPoint]:
        """A transition that leaves the density of the point's temperature invariant."""
        b = point.weights[1]
        jitter = 1 + _JITTER * (2 * torch.rand_like(point.first) - 1)
        steps = (step_size * jitter).unsqueeze(-1) * path.metric.scales(b)
        return hmc(lambda z: path.evaluate(z, b), point, steps, self.num_leapfrog_steps)

    def _tell(self, batch: Batch) -> None:
        if self.on_rows is not None:
            self.on_rows(len(batch) / self.num_temperatures)


def annealed_estimate(log_w: Tensor) -> Estimate:
    """The evidence from weights [chains, batch]; k-hat needs more chains than there are.

    The standard error is infinite where less than two chains carry the weight: their spread says
    nothing of what the others have not found.
    """
    found = summarized(log_w)
    assert found.ess is not None
    assert found.std_error is not None
    lonely = (found.ess < _FEWEST_CHAINS) & ~found.std_error.isnan()
    std_error = torch.where(lonely, math.inf, found.std_error)
    return replace(found, khat=None, std_error=std_error)


def latent_model(model: nn.Module, what: str) -> LatentVariableModel:
    """The model, if it has latent variables to move.

    Raises:
        NotExact: it is an autoencoder, which has no p(x).
        IncompatibleChoices: it has no latent variables.
    """
    if isinstance(model, Autoencoder):
        raise NotExact(
            "an autoencoder has no log p(x): it has no prior over its codes",
            hint="use `vae` for the same networks with a likelihood",
        )
    if not isinstance(model, LatentVariableModel):
        raise IncompatibleChoices(
            f"{what} needs a latent-variable model, got {type(model).__name__}",
            hint="its log p is exact: --method exact",
        )
    return model
