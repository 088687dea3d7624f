"""Many updates of the posterior for each one of the model, until it has caught up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices, OptionError, frozen
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.objectives.variational import Variational
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["Aggressive", "Pace"]


class Pace(nn.Module):
    """Whose turn it is: the state of aggressive training, which checkpoints keep.

    Counters live on the host, so that most steps need not wait for a device; sums stay where they
    are computed until they are compared.

    Attributes:
        active: whether training is still aggressive.
        inner: updates of the posterior since the model's last one.
        model_steps: updates of the model in the present window.
        steps: steps in the present window.
        previous: mean bound over the last few updates of the posterior.
        best: largest mean mutual information of a window.
    """

    bound_sum: Tensor
    information_sum: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.active = True
        self.inner = self.model_steps = self.steps = 0
        self.previous = self.best = -math.inf
        self.register_buffer("bound_sum", torch.zeros(()))
        self.register_buffer("information_sum", torch.zeros(()))

    def get_extra_state(self) -> Tensor:
        """The counters, as numbers that a file of tensors can hold."""
        numbers = (self.active, self.inner, self.model_steps, self.steps, self.previous, self.best)
        return torch.tensor(numbers, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """Undo `get_extra_state`."""
        active, inner, model_steps, steps, self.previous, self.best = state.tolist()
        self.active = bool(active)
        self.inner, self.model_steps, self.steps = int(inner), int(model_steps), int(steps)


@dataclass(frozen=True)
class Aggressive:
    r"""Let the posterior catch up with the model before each step of the model.

    While training is aggressive, steps update q alone until the bound, averaged over
    `check_every` of them, no longer grows, or `max_inner` are done; then one step updates p
    alone. Once in `window` steps the mutual information of x and z under q, as a batch shows it,
    is compared with that of earlier windows; when it no longer grows, training goes on as usual,
    for good. So z is worth reading for the model before it has learnt to do without.

    What is logged is the bound's true terms. The state is kept in checkpoints: a resumed run takes
    the same steps.

    Args:
        objective: the bound that is trained.
        check_every: updates of q between two looks at the bound.
        max_inner: most updates of q for one of p.
        window: steps between two looks at the mutual information.
        pace: the state.

    References:
        | Lagging Inference Networks and Posterior Collapse in Variational Autoencoders (He et al.,
        | 2019), algorithm 1 and section 4.2
    """

    objective: Variational = field(default_factory=Variational)
    check_every: int = 10
    max_inner: int = 100
    window: int = 1000
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        if not 1 <= self.check_every <= self.max_inner <= self.window:
            raise OptionError(
                "expected 1 <= check_every <= max_inner <= window, got "
                f"{self.check_every}, {self.max_inner}, {self.window}"
            )
        companion = self.objective.companion
        if companion is not None and companion.state_dict():
            raise IncompatibleChoices(
                "aggressive training keeps its own state along, got a gradient estimator that "
                f"learns: {type(self.objective.gradient).__name__}",
                hint="use Pathwise() or PathwiseClosedFormKl()",
            )

    @property
    def target(self) -> str:
        """The objective's."""
        return self.objective.target

    @property
    def companion(self) -> Pace:
        """The state."""
        return self.pace

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse what the objective does, and posteriors whose information nobody can compute."""
        self.objective.check(model, posterior)
        if not isinstance(posterior, ParametricPosterior):
            raise IncompatibleChoices(
                "aggressive training needs the density of a row's z under the q of other rows, "
                f"got {type(posterior).__name__}",
                hint="use an amortised posterior, such as a diagonal Gaussian",
            )
        if not any(parameter.requires_grad for parameter in posterior.parameters()):
            raise IncompatibleChoices(
                "aggressive training updates the posterior alone in most steps, got "
                f"{type(posterior).__name__}, which has nothing to learn",
                hint="train the objective as it is, without Aggressive",
            )

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """The objective's loss, with the weights of one side as constants."""
        assert isinstance(model, LatentVariableModel)
        assert isinstance(posterior, ParametricPosterior)
        if not torch.is_grad_enabled() or not self.pace.active:
            return self.objective(model, posterior, batch, step)
        if self._is_models_turn():
            with frozen(posterior):
                loss = self.objective(model, posterior, batch, step)
            self._took_model_step(minibatch_information(model, posterior, batch))
        else:
            with frozen(model, keep=posterior):  # p and q may share an encoder
                loss = self.objective(model, posterior, batch, step)
            self.pace.inner += 1
            self.pace.bound_sum += loss.terms[self.target].to(self.pace.bound_sum.dtype)
        self.pace.steps += 1
        if self.pace.steps >= self.window and self.pace.model_steps > 0:
            self._end_window()
        return loss

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """That steps mean something else at first."""
        return [
            "aggressive training: most steps update the posterior alone, until it has caught up",
            *self.objective.announcements(num_steps, steps_per_epoch),
        ]

    def _is_models_turn(self) -> bool:
        """Whether q has had enough updates."""
        pace = self.pace
        if pace.inner == 0 or pace.inner % self.check_every:
            return False
        mean = float(pace.bound_sum) / self.check_every
        pace.bound_sum.zero_()
        if mean > pace.previous and pace.inner < self.max_inner:
            pace.previous = mean
            return False
        return True

    def _took_model_step(self, information: Tensor) -> None:
        pace = self.pace
        pace.inner, pace.previous = 0, -math.inf
        pace.model_steps += 1
        pace.information_sum += information.to(pace.information_sum.dtype)

    def _end_window(self) -> None:
        pace = self.pace
        mean = float(pace.information_sum) / pace.model_steps
        pace.active = mean > pace.best
        pace.best = max(mean, pace.best)
        pace.information_sum.zero_()
        pace.steps = pace.model_steps = 0


@torch.no_grad()
def minibatch_information(
    model: LatentVariableModel, posterior: ParametricPosterior, batch: Batch
) -> Tensor:
    r"""Mutual information of x and z under q, with the batch as all the data there are: [].

    .. math:: \frac{1}{B} \sum_i \Big( \log q(z_i \mid x_i)
              - \log \frac{1}{B} \sum_j q(z_i \mid x_j) \Big) \le \log B

    Args:
        model: p.
        posterior: q.
        batch: B rows.

    References:
        | Elbo Surgery (Hoffman & Johnson, 2016), equation 6
    """
    q = posterior.distribution(model, batch)
    z = q.sample()
    each = q.log_prob(z.unsqueeze(1))  # [rows of z, rows of x]
    own = each.diagonal()
    return (own - each.logsumexp(1) + math.log(len(batch))).mean()
