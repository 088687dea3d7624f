"""The fully visible sigmoid belief network, and its short-sighted relative."""

from __future__ import annotations

from typing import Any

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.networks.causal import LinearCausal, encoding_for
from ancestral.recipes.site_parts import MEDIUM_ROWS, autoregressive, cell_sites

__all__ = ["fvsbn", "logistic_ar", "resolved_linear"]

_PRECISION = 3.0  # of the Gaussian prior over weights


def fvsbn(spec: Specification, *, l2: float | None = None, likelihood: str = "auto") -> Assembly:
    """Each cell is a logistic regression on all cells before it, in the order of storage.

    Cells of other kinds than binary get a linear model of their own likelihood's parameters.

    Args:
        spec: what the data are; no cell may be missing.
        l2: strength of a penalty on squared weights, in nats per row; None: from the number of
            training rows.
        likelihood: of a cell; auto takes the one that fits the data.
    """
    return _linear(spec, None, l2, likelihood)


def logistic_ar(
    spec: Specification,
    *,
    lags: int = 16,
    l2: float | None = None,
    likelihood: str = "auto",
) -> Assembly:
    """Each cell is a logistic regression on the few cells before it: a chain of finite order.

    Args:
        spec: what the data are; no cell may be missing.
        lags: cells before it that a cell depends on.
        l2: strength of a penalty on squared weights, in nats per row; None: from the number of
            training rows.
        likelihood: of a cell; auto takes the one that fits the data.
    """
    if lags < 1:
        raise OptionError(f"expected at least 1 lag, got {lags}")
    return _linear(spec, lags, l2, likelihood)


def resolved_linear(spec: Specification, num_rows: int, options: dict[str, Any]) -> dict[str, Any]:
    """The penalty is a Gaussian prior over weights, whose share falls as 1 / rows."""
    del spec
    return options | ({"l2": _PRECISION / num_rows} if options["l2"] is None else {})


def _linear(spec: Specification, lags: int | None, l2: float | None, likelihood: str) -> Assembly:
    head = cell_sites(spec, likelihood)
    network = LinearCausal(
        head.num_sites,
        head.num_features,
        encoding_for(spec),
        context_size=len(spec.context),
        lags=lags,
    )
    options = resolved_linear(spec, MEDIUM_ROWS, {"l2": l2})
    return autoregressive(spec, network, head, l2=options["l2"])
