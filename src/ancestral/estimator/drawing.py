"""Samples of any model that can be sampled, in parts of bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ancestral.core import IncompatibleChoices, NotExact, OptionError
from ancestral.core.registry import nearest
from ancestral.models import (
    Autoencoder,
    AutoregressiveModel,
    Drawn,
    OrderEnsemble,
    SamplingMethod,
    Truncation,
)

__all__ = ["Sampler", "sampling_method"]

_ROWS = 500  # that are drawn at once


def sampling_method(name: str) -> SamplingMethod:
    """The method of a name.

    Raises:
        OptionError: there is none.
    """
    names = [str(method) for method in SamplingMethod]
    if name not in names:
        raise OptionError(
            f"expected method to be one of {', '.join(names)}, got {name!r}",
            hint=nearest(str(name), names),
        )
    return SamplingMethod(name)


@dataclass(frozen=True)
class Sampler:
    """How a model is to be sampled.

    Args:
        model: in evaluation mode.
        method: of autoregressive models.
        truncation: temperature, top-k and top-p of autoregressive models.

    Raises:
        NotExact: the model has no distribution to draw from.
        IncompatibleChoices: it is not drawn from site by site, and the choices are about that.
    """

    model: nn.Module
    method: SamplingMethod = SamplingMethod.AUTO
    truncation: Truncation | None = None

    def __post_init__(self) -> None:
        if isinstance(self.model, Autoencoder):
            raise NotExact(
                "an autoencoder cannot sample: it has no prior over its codes, so there is no "
                "distribution to draw from",
                hint="use `vae` for the same networks with a prior",
            )
        by_site = isinstance(self.model, AutoregressiveModel | OrderEnsemble)
        if not by_site and (self.method != SamplingMethod.AUTO or self.truncation is not None):
            raise IncompatibleChoices(
                "a method of sampling, temperature, top-k and top-p are for autoregressive "
                f"models, got {type(self.model).__name__}",
                hint="leave them out",
            )

    def __call__(self, num_samples: int, context: Tensor | None) -> Drawn:
        """Samples on the CPU; passes are those of the part that took most."""
        parts = [
            self._part(
                min(_ROWS, num_samples - first),
                None if context is None else context[first : first + _ROWS],
            )
            for first in range(0, num_samples, _ROWS)
        ]
        passes = max(part.num_passes for part in parts)
        return Drawn(torch.cat([part.x.cpu() for part in parts]), passes, parts[0].method)

    def _part(self, size: int, context: Tensor | None) -> Drawn:
        model = self.model
        if isinstance(model, AutoregressiveModel):
            noise = model.uniforms(size)
            return model.draw(noise, context, method=self.method, truncation=self.truncation)
        if isinstance(model, OrderEnsemble):
            return model.draw(size, context, method=self.method, truncation=self.truncation)
        return Drawn(model.sample(size), 0, self.method)  # type: ignore[operator]
