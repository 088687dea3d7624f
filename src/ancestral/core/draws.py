"""What posteriors return."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["Draws"]


class Draws(NamedTuple):
    """Samples of the latent variables, with the log-density they were drawn under.

    Attributes:
        z: [samples, batch, *latent].
        log_q: [samples, batch], log q(z | x) in nats.
    """

    z: Tensor
    log_q: Tensor
