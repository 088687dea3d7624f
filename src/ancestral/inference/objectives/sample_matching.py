"""Training a generator by comparing its samples with the data."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ancestral.core import Batch, DataDependent, IncompatibleChoices
from ancestral.distributions import GaussianKernel, Kernel, mmd_squared, squared_distances
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.objectives.terms import check_prior_is_trained, prior_draws
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel, NetworkConditional

__all__ = ["ComparedRows", "SampleMatching"]

_ROWS = 1000  # whose distances are looked at
_SCALES = (0.125, 0.25, 0.5, 1.0, 2.0)


class ComparedRows(nn.Module, DataDependent):
    """Rows as a kernel compares them: features, in units of their median distance.

    Args:
        inputs: x -> features, such as `networks.InputFeatures`.
    """

    median: Tensor

    def __init__(self, inputs: nn.Module) -> None:
        super().__init__()
        self.inputs = inputs
        self.register_buffer("median", torch.ones(()))

    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """The median distance of two different training rows; the inputs' own come first."""
        rows = self.inputs(x[:_ROWS], None if observed is None else observed[:_ROWS])
        rows = rows.flatten(1).double()
        pairs = squared_distances(rows, rows)
        pairs = pairs[~torch.eye(len(rows), dtype=torch.bool, device=x.device)]
        if len(pairs) and float(pairs.median()) > 0:
            self.median.copy_(pairs.median().sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """[rows, *x] -> [rows, features]."""
        return self.inputs(x).flatten(1) / self.median


@dataclass(frozen=True)
class SampleMatching:
    r"""Minimise the squared maximum mean discrepancy of the model's samples from the data.

    .. math:: \widehat{\mathrm{MMD}}^2(\{x_i\}, \{x'_i\}), \quad
              x'_i \sim p(x \mid z_i) \text{ or } E[x \mid z_i], \quad z_i \sim p(z)

    without a posterior, a bound or a critic. Where p(x | z) passes gradients through its draws
    they are what is compared, elsewhere its means are: for binary cells these go to 0 and 1 where
    the data do. The estimate is unbiased, so it may be negative; `objective` is minus it, and
    nothing that is logged is a likelihood. Batches of some hundred rows are needed to see how two
    distributions differ.

    Args:
        rows: how rows are compared.
        kernel: of squared distances, in units of the data's median distance.

    Cost:
        Four times the squared number of rows in distances.

    References:
        | Training Generative Neural Networks via Maximum Mean Discrepancy Optimization (Dziugaite
        | et al., 2015), equation 2
        | Generative Moment Matching Networks (Li et al., 2015), section 3
    """

    rows: ComparedRows
    kernel: Kernel = field(default_factory=lambda: GaussianKernel(_SCALES))
    target: str = "objective"

    @property
    def companion(self) -> nn.Module:
        """The scale of the data, which nobody needs afterwards."""
        return self.rows

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models without a generator, and a posterior that would stay untrained."""
        is_generator = isinstance(model, LatentVariableModel)
        if not is_generator or not isinstance(model.likelihood, NetworkConditional):
            raise IncompatibleChoices(
                "comparing samples trains latent-variable models whose p(x | z) is a network and "
                f"a head, got {type(model).__name__}",
                hint="models with an exact likelihood train with MaximumLikelihood()",
            )
        if posterior is not None:
            raise IncompatibleChoices(
                f"comparing samples trains no posterior, got {type(posterior).__name__}",
                hint="leave it out, or train a bound: Variational()",
            )
        check_prior_is_trained(self, model)

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """The squared discrepancy from as many samples."""
        del posterior, step
        assert isinstance(model, LatentVariableModel)
        if batch.observed is not None and not bool(batch.observed.all()):
            raise IncompatibleChoices(
                "comparing samples with data needs complete rows, got missing cells",
                hint="fill the gaps first, or train a bound: Variational()",
            )
        data = self.rows(batch.x)
        samples = self.rows(_draws(model, max(len(data), 2)))
        if len(data) == 1:  # the last row of an epoch, alone in its batch, has no distances within
            discrepancy = samples.sum() * 0.0
        else:
            discrepancy = mmd_squared(data, samples, self.kernel)
        return Loss(discrepancy, {"objective": -discrepancy.detach()})

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """That there is no likelihood in it."""
        del num_steps, steps_per_epoch
        return [
            "objective is minus the squared maximum mean discrepancy of samples from data: not a "
            "likelihood"
        ]


def _draws(model: LatentVariableModel, num_rows: int) -> Tensor:
    """Samples that pass gradients to the likelihood, [num_rows, *x]."""
    z = prior_draws(model, num_rows)
    likelihood = model.likelihood
    assert isinstance(likelihood, NetworkConditional)  # `check` has seen to it
    return likelihood.sample(z) if likelihood.head.reparameterized else likelihood.mean(z)
