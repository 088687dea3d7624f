"""Maximum likelihood over all orders at once, from one random split of each row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.posteriors import Posterior
from ancestral.models import AutoregressiveModel, OrderEnsemble
from ancestral.networks.causal import GivenAny

__all__ = ["OrderAgnostic", "random_prefixes"]


@dataclass(frozen=True)
class OrderAgnostic:
    r"""Maximise E_o[log p(x | o)], the mean of log p(x) over all T! orders of the sites.

    For a random order o and a random step d of 1 .. T, with the first d - 1 sites known,

        \frac{T}{T - d + 1} \sum_{t \ge d} \log p(x_{o(t)} | x_{o(<d)})

    is an unbiased estimate of it, from one pass. It is logged as `order_average`, in training and
    in validation, and is no log p(x) of any one order or ensemble: it is below the log p of the
    mixture over all orders (Jensen). `score_samples` gives the exact log p of the model's orders.

    Args:
        num_validation_draws: of split and order for each row, averaged in validation.

    References:
        | Uria, Murray & Larochelle (2014), A deep and tractable density estimator, equation 12
    """

    num_validation_draws: int = 4
    target: str = "order_average"

    @property
    def companion(self) -> None:
        """Nothing is trained along."""
        return

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse models that cannot predict from any set of sites."""
        del posterior
        if not isinstance(_single(model), AutoregressiveModel) or not isinstance(
            _single(model).network, GivenAny
        ):
            raise IncompatibleChoices(
                f"training for all orders needs a network that takes any set of known sites, got "
                f"{type(model).__name__}",
                hint="eonade has one; models of one order train with MaximumLikelihood()",
            )

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """Minus the estimate."""
        del posterior, step
        single = _single(model)
        draws = 1 if torch.is_grad_enabled() else self.num_validation_draws
        values = torch.stack([self._estimate(single, batch) for _ in range(draws)])
        mean = values.mean()
        return Loss(-mean, {self.target: mean.detach()})

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """What the logged number is."""
        del num_steps, steps_per_epoch
        return ["order_average estimates the mean of log p(x) over all orders, not log p(x)"]

    def _estimate(self, model: AutoregressiveModel, batch: Batch) -> Tensor:
        num_sites = model.network.num_sites
        known = random_prefixes(len(batch), num_sites, batch.x.device)
        each = model.log_prob_given(batch.x, known, batch.context)
        return each.sum(-1) * num_sites / (num_sites - known.sum(-1))


def random_prefixes(num_rows: int, num_sites: int, device: torch.device) -> Tensor:
    """The first d - 1 sites of a random order for each row, [rows, T] bool.

    Each row's d is uniform on 1 .. T. Together the rows spread evenly over it, which leaves the
    estimate's mean alone and lessens the variance of a batch's.
    """
    positions = (
        torch.randperm(num_rows, device=device) + torch.rand((), device=device)
    ) % num_rows
    num_known = (positions * num_sites / num_rows).long().clamp_(max=num_sites - 1)
    # a random order sorts random numbers: the first d - 1 sites are those below the d-th smallest
    noise = torch.rand(num_rows, num_sites, device=device)
    threshold = noise.sort(-1).values.gather(-1, num_known.unsqueeze(-1))
    return noise < threshold


def _single(model: nn.Module) -> AutoregressiveModel:
    """The model of one order that an ensemble is made of."""
    return model.model if isinstance(model, OrderEnsemble) else model  # type: ignore[return-value]
