"""The encoder's draws, refined by Markov chains on the exact posterior."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ancestral.core import Batch, Draws, IncompatibleChoices, OptionError, frozen
from ancestral.core.freezing import evaluation_mode
from ancestral.inference.mcmc import (
    L2hmcKernel,
    LogDensity,
    StepSizeRule,
    evaluated,
    hmc,
    jump_loss,
)
from ancestral.inference.posteriors.posterior import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["HmcRefined", "L2hmcPosterior", "Refined"]


class Refined(Posterior):
    r"""z_0 ~ q(z | x), then transitions that leave p(z | x) invariant and are reversible.

    The weight of the pair (z_0, z_M), with the chain run back from z_M as its reverse model, is

    .. math:: w = \frac{p(x, z_M)\, \tilde T(z_0 \mid z_M)}{q(z_0 \mid x)\, T(z_M \mid z_0)}
              = \frac{p(x, z_0)}{q(z_0 \mid x)}

    by detailed balance. So `Draws` holds z_M, and log_q = log p(x, z_M) - log w: what is logged
    is the encoder's own ELBO, an honest bound, and E w = p(x). Refinement does not tighten it;
    what it gives are better z for the model to learn from. With `Pathwise` the gradient of the
    model is that at the refined z_M, and the gradient of the encoder that of its own ELBO.

    New data are answered by the encoder (`adapted`), since weights do not gain by refinement.

    Args:
        encoder: q(z | x) with a mean and standard deviations, which are the chains' units.

    References:
        | Learning Deep Latent Gaussian Models with Markov Chain Monte Carlo (Hoffman, 2017),
        | algorithm 1
    """

    reparameterized = True
    log_q_kind = "likelihood"

    def __init__(self, encoder: ParametricPosterior) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def moved(self, log_density: LogDensity, start: Tensor) -> tuple[Tensor, Tensor]:
        """Chains after their transitions, and what training minimises for their sake.

        Args:
            log_density: of (z - mean) / scale, in units of q.
            start: [samples, batch, L].

        Returns:
            [samples, batch, L], without a gradient, and [samples, batch].
        """

    def draw(self, model: LatentVariableModel, batch: Batch, num_samples: int) -> Draws:
        """Refined draws, weighted as the encoder's."""
        q = self.encoder.distribution(model, batch)
        start = q.rsample(torch.Size((num_samples,)))
        loc, scale = q.mean.detach(), q.stddev.detach()
        with evaluation_mode(model), frozen(model):
            log_w = model.log_joint(batch.x, start, batch.observed) - q.log_prob(start)
            w, cost = self.moved(
                lambda w: model.log_joint(batch.x, loc + scale * w, batch.observed),
                (start.detach() - loc) / scale,
            )
            z = loc + scale * w
            with torch.no_grad():
                log_joint = model.log_joint(batch.x, z, batch.observed)
        # the cost has a gradient and no value: the bound stays what it is
        return Draws(z, log_joint - log_w + (cost - cost.detach()))

    def mean(self, model: LatentVariableModel, batch: Batch) -> Tensor:
        """The encoder's."""
        return self.encoder.mean(model, batch)

    def adapted(self, model: LatentVariableModel, batch: Batch) -> Posterior:
        """The encoder."""
        return self.encoder.adapted(model, batch)

    def log_prob(self, model: LatentVariableModel, batch: Batch, z: Tensor) -> Tensor:
        """Refused: the density of where a chain ends is not known."""
        raise IncompatibleChoices(
            "the density of draws refined by Markov chains is not known",
            hint="use `draw`, whose log_q makes exact importance weights; or `encoder.log_prob`",
        )


class HmcRefined(Refined):
    """`Refined` by Hamiltonian Monte Carlo, with a step size that follows the acceptance.

    Args:
        encoder: q(z | x).
        num_transitions: M.
        num_leapfrog_steps: of each; the cost is a gradient of the decoder for each step.
        step_size: at first, in units of q's scale.
        rule: how training changes the step size; it stays as it is in evaluation.
    """

    step_size: Tensor

    def __init__(
        self,
        encoder: ParametricPosterior,
        *,
        num_transitions: int = 3,
        num_leapfrog_steps: int = 5,
        step_size: float = 0.2,
        rule: StepSizeRule | None = None,
    ) -> None:
        super().__init__(encoder)
        if num_transitions < 1 or num_leapfrog_steps < 1 or step_size <= 0:
            raise OptionError(
                "expected num_transitions >= 1, num_leapfrog_steps >= 1 and step_size > 0, got "
                f"{num_transitions}, {num_leapfrog_steps} and {step_size}"
            )
        self.num_transitions, self.num_leapfrog_steps = num_transitions, num_leapfrog_steps
        self.rule = rule or StepSizeRule(gain=0.05)
        self.register_buffer("step_size", torch.tensor(float(step_size)))

    def moved(self, log_density: LogDensity, start: Tensor) -> tuple[Tensor, Tensor]:
        """M transitions; nothing is trained."""
        evaluate = evaluated(log_density)
        point = evaluate(start)
        for _ in range(self.num_transitions):
            transition = hmc(evaluate, point, self.step_size, self.num_leapfrog_steps)
            point = transition.point
            if self.training and torch.is_grad_enabled():
                acceptance = transition.acceptance.mean()
                self.step_size.copy_(self.rule.updated(self.step_size, acceptance))
        return point.z, torch.zeros_like(point.log_density)


class L2hmcPosterior(Refined):
    """`Refined` by a kernel that learns to move far (`mcmc.L2hmcKernel`).

    Args:
        encoder: q(z | x).
        kernel: works in units of q's scale, so that one serves all data.
        num_transitions: M.
        jump_scale: lambda of the kernel's training loss, in the same units.
        weight: of that loss beside the bound, in nats.

    References:
        | Generalizing Hamiltonian Monte Carlo with Neural Networks (Levy, Hoffman &
        | Sohl-Dickstein, 2018), section 5.2
    """

    def __init__(
        self,
        encoder: ParametricPosterior,
        kernel: L2hmcKernel,
        *,
        num_transitions: int = 3,
        jump_scale: float = 1.0,
        weight: float = 1.0,
    ) -> None:
        super().__init__(encoder)
        if num_transitions < 1 or jump_scale <= 0 or weight < 0:
            raise OptionError(
                "expected num_transitions >= 1, jump_scale > 0 and weight >= 0, got "
                f"{num_transitions}, {jump_scale} and {weight}"
            )
        self.kernel, self.num_transitions = kernel, num_transitions
        self.jump_scale, self.weight = jump_scale, weight

    def moved(self, log_density: LogDensity, start: Tensor) -> tuple[Tensor, Tensor]:
        """M transitions, and the mean loss of their jumps."""
        z, cost = start, torch.zeros_like(start[..., 0])
        for _ in range(self.num_transitions):
            transition, move = self.kernel(log_density, z)
            loss = jump_loss(z, move, transition.acceptance, self.jump_scale)
            cost = cost + self.weight / self.num_transitions * loss
            z = transition.point.z
        return z, cost
