"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["DenseNetwork", "ResidualNetwork"]


class DenseNetwork(nn.Sequential):
    r"""A multilayer perceptron, y = A_L s(A_{L-1} ... s(A_1 x)).

    Args:
        input_size: I, last axis of the input.
        hidden_sizes: width of each hidden layer; `()` gives one affine map.
        output_size: O, last axis of the output.
        activation: makes the module s.

    Shape:
        [..., I] -> [..., O]

    Example:
        >>> import torch
        >>> DenseNetwork(784, (500, 400), 20)(torch.zeros(3, 784)).shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_sizes: tuple[int, ...],
        output_size: int,
        activation: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        layers: list[nn.Module] = []
        width = input_size
        for hidden_size in hidden_sizes:
            layers += [nn.Linear(width, hidden_size), activation()]
            width = hidden_size
        super().__init__(*layers, nn.Linear(width, output_size))

    @property
    def output_layer(self) -> nn.Module:
        """The last affine map, whose bias a likelihood may set."""
        return self[-1]


class ResidualNetwork(nn.Module):
    r"""Pre-activation residual blocks between two affine maps.

    .. math:: h_0 = A x, \quad h_{i+1} = h_i + B_i\, s(\mathrm{norm}(h_i)), \quad
              y = C\, s(\mathrm{norm}(h_L))

    Layer normalisation (Ba et al., 2016) and identity paths (He et al., 2016b, figure 1b): several
    times fewer steps than plain layers for variational autoencoders, at little more cost.

    Args:
        input_size: I.
        hidden_size: H, width of every layer.
        num_blocks: number of residual blocks; 0 leaves one hidden layer.
        output_size: O.
        activation: makes the module s.
        dropout: probability with which a unit of a block is dropped while training.

    Shape:
        [..., I] -> [..., O]
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_blocks: int,
        output_size: int,
        *,
        activation: Callable[[], nn.Module] = nn.SiLU,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.input_layer = nn.Linear(input_size, hidden_size)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(hidden_size),
                activation(),
                nn.Dropout(dropout) if dropout else nn.Identity(),
                nn.Linear(hidden_size, hidden_size),
            )
            for _ in range(num_blocks)
        )
        self.head = nn.Sequential(nn.LayerNorm(hidden_size), activation())
        self.output_layer = nn.Linear(hidden_size, output_size)

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., O]."""
        h = self.input_layer(x)
        for block in self.blocks:
            h = h + block(h)
        return self.output_layer(self.head(h))
