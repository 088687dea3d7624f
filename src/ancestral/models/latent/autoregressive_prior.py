"""An autoregressive model as the prior p(z)."""

from __future__ import annotations

from torch import Tensor

from ancestral.distributions import Normal, SiteMixture, site_head
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import MaskedDense, Plain

__all__ = ["AutoregressivePrior"]


class AutoregressivePrior(AutoregressiveModel):
    r"""p(z) = \prod_i p(z_i | z_{<i}), each a mixture of Gaussians that a masked network gives.

    A masked autoregressive flow of one step is the special case of one component. Densities take
    one pass of the network; draws take a step for each variable, and pass no gradient.

    Args:
        num_dims: latent variables L, at least 2.
        num_components: Gaussians in each conditional.
        hidden_sizes: of the masked network.

    Example:
        >>> import torch
        >>> prior = AutoregressivePrior(3, hidden_sizes=(8,)).eval()
        >>> prior().sample((4,)).shape, prior.log_prob(torch.zeros(5, 4, 3)).shape
        (torch.Size([4, 3]), torch.Size([5, 4]))

    References:
        | Variational Lossy Autoencoder (Chen et al., 2017), section 3.2
    """

    def __init__(
        self,
        num_dims: int,
        *,
        num_components: int = 5,
        hidden_sizes: tuple[int, ...] = (128,),
    ) -> None:
        head = site_head(SiteMixture(Normal((num_dims,)), num_components), num_dims)
        network = MaskedDense(num_dims, head.num_features, Plain(), hidden_sizes=hidden_sizes)
        super().__init__(network, head, (num_dims,))
        start = network.output_bias
        # components that were all alike would stay so
        start.data[:, num_components:].normal_(std=0.5)

    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Nothing: z is in no data set."""
        del x, observed
