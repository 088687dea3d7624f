"""The plain autoencoder's objective."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.objectives.objective import Loss
from ancestral.inference.posteriors import Posterior
from ancestral.models import Autoencoder

__all__ = ["Reconstruction"]


@dataclass(frozen=True)
class Reconstruction:
    """Minimise the reconstruction error, averaged over the batch. Not a likelihood."""

    target: str = "minus_reconstruction_error"

    @property
    def companion(self) -> None:
        """Nothing is trained along."""
        return

    def check(self, model: nn.Module, posterior: Posterior | None) -> None:
        """Refuse anything but an autoencoder."""
        del posterior
        if not isinstance(model, Autoencoder):
            raise IncompatibleChoices(
                f"the reconstruction error trains autoencoders, got {type(model).__name__}",
                hint="train a bound: Variational(Elbo(), PathwiseClosedFormKl())",
            )

    def __call__(
        self, model: nn.Module, posterior: Posterior | None, batch: Batch, step: int
    ) -> Loss:
        """The reconstruction error."""
        del posterior, step
        assert isinstance(model, Autoencoder)
        error = model.reconstruction_error(batch).mean()
        return Loss(error, {self.target: -error.detach()})

    def announcements(self, num_steps: int, steps_per_epoch: int) -> list[str]:
        """That there is no likelihood."""
        del num_steps, steps_per_epoch
        return ["an autoencoder has no p(x): its numbers are reconstruction errors"]
