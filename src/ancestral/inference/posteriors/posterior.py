"""`Posterior`: q(z | x), apart from the model it approximates."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ancestral.core import Batch, Draws, seeded
from ancestral.core.noise import shared_noise
from ancestral.models import LatentVariableModel

__all__ = ["LogQKind", "ParametricPosterior", "Posterior", "ScoresItsDraws"]

LogQKind = Literal["density", "auxiliary", "likelihood"]

_DRAWS_AT_ONCE, _PIECES_OF_A_MEAN = 10, 10


@runtime_checkable
class ScoresItsDraws(Protocol):
    """A distribution that knows the density of what it draws at no further cost.

    A flow, for one: to score a point that it did not draw it must be inverted.
    """

    def rsample_with_log_prob(self, sample_shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Reparameterised draws, and their log-densities."""
        ...


class Posterior(nn.Module, ABC):
    """q(z | x): something that proposes latent variables for data.

    It receives the model, since stochastic variational inference, Laplace, Hamiltonian and
    sequential Monte Carlo posteriors need it; amortised ones ignore it.

    Attributes:
        reparameterized: whether `draw` passes gradients from z to q's parameters.
        has_density: whether there is a log q at all; a deterministic encoder has none.
        log_q_kind: what `Draws.log_q` is beside what makes exp(log p(x, z) - log_q) unbiased:
            "density", the log-density of the draws, whose score an estimator may use; "auxiliary",
            one of the draws and of auxiliary variables together; "likelihood", a number with
            log p(x | z) in it, so that log_q - log p(z) is no KL that could be weighed.
    """

    reparameterized: bool
    has_density: bool = True
    log_q_kind: LogQKind = "density"

    @abstractmethod
    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Sample z [samples, batch, *latent] with log q(z | x) [samples, batch]."""

    @abstractmethod
    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Log q(z | x), [samples, batch]."""

    def mean(self, model: LatentVariableModel, batch: Batch) -> Tensor:
        """E_q[z], [batch, *latent]: here the mean of 100 draws.

        All rows get the same noise at each call, so that a row's mean is a function of the row.
        """
        with seeded(0), shared_noise(axis=1):
            propose = self.proposal(model, batch)
            # in pieces: draws that decode hold a decoder's activations each
            means = [propose(_DRAWS_AT_ONCE).z.mean(0) for _ in range(_PIECES_OF_A_MEAN)]
            return torch.stack(means).mean(0)

    def proposal(self, model: LatentVariableModel, batch: Batch) -> Callable[[int], Draws]:
        """`draw` with all but the number of samples given, for many draws of the same data."""
        return lambda num_samples: self.draw(model, batch, num_samples)

    def begin(self, model: LatentVariableModel, batch: Batch) -> bool:
        """Set what belongs to these training rows alone; False if there is no such thing."""
        del model, batch
        return False

    def adapted(self, model: LatentVariableModel, batch: Batch) -> Posterior:
        """The posterior to use for data it was not trained on; for most, itself."""
        del model, batch
        return self


class ParametricPosterior(Posterior):
    """A posterior that is a torch `Distribution` once x is known.

    Subclasses write `distribution`; its entropy, mean and closed-form divergences are then at
    hand.
    """

    reparameterized = True

    @abstractmethod
    def distribution(self, model: LatentVariableModel, batch: Batch) -> Distribution:
        """q(z | x) with batch shape [batch] and event shape [*latent]."""

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Samples, reparameterised where the distribution can."""
        return self.proposal(model, batch)(num_samples)

    def proposal(self, model: LatentVariableModel, batch: Batch) -> Callable[[int], Draws]:
        """Read x once, however often is drawn."""
        q = self.distribution(model, batch)

        def draw(num_samples: int) -> Draws:
            shape = torch.Size((num_samples,))
            if isinstance(q, ScoresItsDraws):
                # tried rather than asked for: to know, a chain of layers makes a draw
                with contextlib.suppress(NotImplementedError):
                    return Draws(*q.rsample_with_log_prob(shape))
            z = q.rsample(shape) if q.has_rsample else q.sample(shape)
            return Draws(z, q.log_prob(z))

        return draw

    def mean(self, model: LatentVariableModel, batch: Batch) -> Tensor:
        """E_q[z] by the distribution's own formula, if it has one."""
        q = self.distribution(model, batch)
        try:
            return q.mean
        except NotImplementedError:
            return super().mean(model, batch)

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Log q(z | x)."""
        return self.distribution(model, batch).log_prob(z)
