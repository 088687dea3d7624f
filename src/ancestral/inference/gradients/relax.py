"""RELAX: REBAR's control variate, and a network beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn

from ancestral.core import IncompatibleChoices, OptionError
from ancestral.inference.bounds import Bound
from ancestral.inference.gradients.rebar import Rebar
from ancestral.inference.posteriors import DiscretePosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["Relax"]


class Relax(Rebar):
    r"""REBAR with a free-form control variate, learnt by its effect on the variance.

    .. math:: c(\text{noisy}) = \eta f(\zeta) + r_\psi(\text{noisy}, \text{logits})

    For each layer a network r of one hidden layer, which starts at zero, so that the estimator
    starts as `Rebar`. Unbiased whatever it learns.

    Args:
        sizes: numbers of each layer of z, that nearest the data first.
        hidden_size: of the networks.
        temperature: at which it starts, above 0.
        strength: eta at the start; 0 leaves the network alone.

    Example:
        >>> Relax((20,)).networks[0](torch.zeros(5, 40)).shape
        torch.Size([5, 1])

    References:
        | Backpropagation through the Void (Grathwohl et al., 2018), equations 6 to 8, appendix C
    """

    def __init__(
        self,
        sizes: Sequence[int],
        hidden_size: int = 64,
        temperature: float = 0.5,
        strength: float = 1.0,
    ) -> None:
        super().__init__(temperature, strength)
        if not sizes or min(sizes) < 1 or hidden_size < 1:
            raise OptionError(
                f"expected sizes of at least 1, got {list(sizes)} and hidden_size {hidden_size}"
            )
        self.sizes = tuple(sizes)
        self.networks = nn.ModuleList(_zero_network(2 * size, hidden_size) for size in sizes)

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse what `Rebar` does, and layers of other sizes."""
        super().check(bound, model, posterior)
        if isinstance(posterior, DiscretePosterior):
            sizes = tuple(head.event_shape[0] for head in posterior.heads)
            if sizes != self.sizes:
                self._refuse(f"layers of {sizes}")

    def control(self, layer: int, noisy: Tensor, relaxed_value: Tensor, logits: Tensor) -> Tensor:
        """REBAR's and the network's, [samples, batch]."""
        if layer >= len(self.sizes) or logits.shape[-1] != self.sizes[layer]:
            self._refuse(f"layer {layer + 1} of {logits.shape[-1]} variables")
        # squashed: a single draw far out would rule the network's gradient
        given = torch.cat((noisy.sigmoid(), logits.detach().sigmoid()), -1)
        free = self.networks[layer](given - 0.5).squeeze(-1)
        return super().control(layer, noisy, relaxed_value, logits) + free

    def _refuse(self, found: str) -> NoReturn:
        raise IncompatibleChoices(
            f"expected a posterior with layers of {self.sizes} variables, for which Relax has its "
            f"networks, got {found}",
            hint="give Relax the sizes of the posterior's layers, that nearest the data first",
        )


def _zero_network(input_size: int, hidden_size: int) -> nn.Sequential:
    output = nn.Linear(hidden_size, 1)
    nn.init.zeros_(output.weight)
    nn.init.zeros_(output.bias)
    return nn.Sequential(nn.Linear(input_size, hidden_size), nn.SiLU(), output)
