"""Recurrent networks over symbols."""

from __future__ import annotations

from typing import Any

from ancestral.core import Kind, Specification
from ancestral.estimator import Assembly
from ancestral.networks.causal import Cell, RecurrentCausal, encoding_for
from ancestral.recipes.site_parts import autoregressive, cell_sites
from ancestral.recipes.text_parts import num_symbols, site_roles, with_end

__all__ = ["char_rnn", "resolved_char_rnn"]

_HIDDEN, _DROPOUT = 512, 0.2


def char_rnn(
    spec: Specification,
    *,
    cell: str = "lstm",
    hidden_size: int | None = None,
    num_layers: int = 1,
    embedding_size: int = 64,
    dropout: float | None = None,
    likelihood: str = "auto",
) -> Assembly:
    """A recurrent network reads the cells before, and says what the next one is.

    For text: characters, bytes or words; sequences with an end symbol end with it. Data of other
    kinds are read cell by cell, with a bias for each of them.

    Args:
        spec: what the data are; no cell may be missing.
        cell: tanh, gru or lstm.
        hidden_size: of each layer; by the size of the data if it is not given.
        num_layers: one above the other.
        embedding_size: of the vector of a symbol.
        dropout: between layers and before the output, while training; by the size of the data if
            it is not given.
        likelihood: of a cell; auto takes the one that fits the data.
    """
    head = cell_sites(spec, likelihood)
    network = RecurrentCausal(
        head.num_sites,
        head.num_features,
        encoding_for(spec),
        cell=Cell.of(cell),
        hidden_size=_HIDDEN if hidden_size is None else hidden_size,
        num_layers=num_layers,
        embedding_size=embedding_size,
        dropout=_DROPOUT if dropout is None else dropout,
        roles=site_roles(spec),
        context_size=len(spec.context),
    )
    return autoregressive(spec, with_end(spec, network), head)


def resolved_char_rnn(
    spec: Specification, num_rows: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Hidden size and dropout by the number of symbols there are to learn from."""
    symbols = num_symbols(spec, num_rows)
    found = dict(options)
    if found["hidden_size"] is None:
        found["hidden_size"] = 128 if symbols < 30_000 else 256 if symbols < 300_000 else _HIDDEN
    if found["dropout"] is None:
        # text that is seen but a few times is not learnt by heart
        found["dropout"] = 0.0 if symbols > 20_000_000 else _DROPOUT
    if spec.kind is Kind.CATEGORICAL and (spec.num_levels or 0) > 1000:
        found["embedding_size"] = max(found["embedding_size"], 256)
    return found
