"""A causal transformer over symbols."""

from __future__ import annotations

from typing import Any

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.networks.causal import CausalTransformer, encoding_for
from ancestral.recipes.site_parts import autoregressive, cell_sites
from ancestral.recipes.text_parts import num_symbols, site_roles, with_end

__all__ = ["resolved_transformer_ar", "transformer_ar"]

_HIDDEN, _DROPOUT = 256, 0.2


def transformer_ar(
    spec: Specification,
    *,
    hidden_size: int | None = None,
    num_layers: int = 4,
    num_heads: int = 4,
    dropout: float | None = None,
    likelihood: str = "auto",
) -> Assembly:
    """A transformer attends to the cells before, and says what the next one is.

    Pre-norm blocks with rotary positions, RMSNorm and SwiGLU. For text, and for data of other
    kinds cell by cell.

    Args:
        spec: what the data are; no cell may be missing.
        hidden_size: of the residual stream; by the size of the data if it is not given.
        num_layers: blocks.
        num_heads: of attention.
        dropout: while training; by the size of the data if it is not given.
        likelihood: of a cell; auto takes the one that fits the data.
    """
    head = cell_sites(spec, likelihood)
    network = CausalTransformer(
        head.num_sites,
        head.num_features,
        encoding_for(spec),
        hidden_size=_HIDDEN if hidden_size is None else hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        dropout=_DROPOUT if dropout is None else dropout,
        roles=site_roles(spec),
        context_size=len(spec.context),
    )
    return autoregressive(spec, with_end(spec, network), head)


def resolved_transformer_ar(
    spec: Specification, num_rows: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Hidden size and dropout by the number of symbols there are to learn from."""
    symbols = num_symbols(spec, num_rows)
    found = dict(options)
    if found["hidden_size"] is None:
        size = 64 if symbols < 30_000 else 128 if symbols < 300_000 else _HIDDEN
        step = 2 * found["num_heads"]
        found["hidden_size"] = -(-size // step) * step
    if found["dropout"] is None:
        found["dropout"] = 0.0 if symbols > 20_000_000 else _DROPOUT
    return found
