"""A network beside an affine map."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["WithLinearPath"]


class WithLinearPath(nn.Module):
    r"""y = W x + f(x), with f the bias of its last layer alone at first.

    A decoder starts as a linear model, such as probabilistic PCA is, and learns to bend from
    there. Where rows are few and columns correlated, as in small tables, it bends little, and
    plain networks do much worse.

    Args:
        network: f, with an `output_layer`, whose weights are set to zero.
        input_size: I.

    Shape:
        [..., I] -> [..., O]

    Example:
        >>> import torch
        >>> from ancestral.networks import ResidualNetwork
        >>> network = WithLinearPath(ResidualNetwork(3, 8, 1, 5), 3)
        >>> x = torch.randn(4, 3)
        >>> torch.allclose(network(2 * x) - network(x), network(x) - network(0 * x), atol=1e-6)
        True
    """

    def __init__(self, network: nn.Module, input_size: int) -> None:
        super().__init__()
        last = network.output_layer
        assert isinstance(last, nn.Linear)
        self.network = network
        self.linear = nn.Linear(input_size, last.out_features, bias=False)
        nn.init.zeros_(last.weight)

    @property
    def output_layer(self) -> nn.Module:
        """The last affine map of f, whose bias a likelihood may set."""
        return self.network.output_layer  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., O]."""
        return self.linear(x) + self.network(x)
