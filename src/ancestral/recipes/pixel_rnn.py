"""The PixelRNN: two-dimensional recurrence over images."""

from __future__ import annotations

from typing import Any

from ancestral.core import Kind, OptionError, Specification
from ancestral.core.registry import nearest
from ancestral.estimator import Assembly
from ancestral.networks.causal import DiagonalBiLstm, PixelRecurrent, RowLstm, encoding_for
from ancestral.recipes.image_parts import image_shape
from ancestral.recipes.site_parts import autoregressive, cell_sites

__all__ = ["pixel_rnn", "resolve_pixel_rnn"]

_FEW_ROWS = 5_000  # below this, wider networks learn the training rows by heart
_HIDDEN_SIZE = 32
_LAYERS = {"diagonal": DiagonalBiLstm, "row": RowLstm}


def pixel_rnn(
    spec: Specification,
    *,
    recurrence: str = "diagonal",
    hidden_size: int | None = None,
    num_layers: int = 1,
    first_kernel_size: int = 7,
    likelihood: str = "auto",
) -> Assembly:
    """LSTMs that go over an image by rows or by diagonals, pixel by pixel, colour by colour.

    Args:
        spec: what the data are: complete images of any size, grey or coloured.
        recurrence: diagonal for the Diagonal BiLSTM, which sees what comes before; row for the
            Row LSTM, which is quicker and sees a triangle above.
        hidden_size: units of each direction, rounded up to a multiple of the colours; by the
            number of rows if it is not given.
        num_layers: LSTM layers.
        first_kernel_size: of the convolution before them, odd.
        likelihood: of a cell; auto takes Bernoulli for black and white, and for levels a
            categorical, as the paper does.
    """
    shape = image_shape(spec, "pixel_rnn")
    if recurrence not in _LAYERS:
        raise OptionError(
            f"expected recurrence to be 'diagonal' or 'row', got {recurrence!r}",
            hint=nearest(recurrence, list(_LAYERS)),
        )
    if likelihood == "auto" and spec.kind is Kind.LEVELS:
        likelihood = "categorical"
    head = cell_sites(spec, likelihood)
    colours = shape[2]
    size = -(-(_HIDDEN_SIZE if hidden_size is None else hidden_size) // colours) * colours
    network = PixelRecurrent(
        shape,
        head.num_features,
        encoding_for(spec),
        _LAYERS[recurrence],
        hidden_size=size,
        num_layers=num_layers,
        output_size=2 * size,
        kernel_size=first_kernel_size,
        context_size=len(spec.context),
    )
    return autoregressive(spec, network, head)


def resolve_pixel_rnn(
    spec: Specification, num_rows: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Fewer units for few images."""
    del spec
    if options["hidden_size"] is not None:
        return options
    return options | {"hidden_size": 16 if num_rows < _FEW_ROWS else _HIDDEN_SIZE}
