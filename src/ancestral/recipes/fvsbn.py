"""The fully visible sigmoid belief network, and its short-sighted relative."""

from __future__ import annotations

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.networks.causal import LinearCausal, encoding_for
from ancestral.recipes.site_parts import autoregressive, cell_sites

__all__ = ["fvsbn", "logistic_ar"]


def fvsbn(spec: Specification, *, likelihood: str = "auto") -> Assembly:
    """Each cell is a logistic regression on all cells before it, in the order of storage.

    Cells of other kinds than binary get a linear model of their own likelihood's parameters.

    Args:
        spec: what the data are; no cell may be missing.
        likelihood: of a cell; auto takes the one that fits the data.
    """
    head = cell_sites(spec, likelihood)
    network = LinearCausal(
        head.num_sites, head.num_features, encoding_for(spec), context_size=len(spec.context)
    )
    return autoregressive(spec, network, head)


def logistic_ar(spec: Specification, *, lags: int = 16, likelihood: str = "auto") -> Assembly:
    """Each cell is a logistic regression on the few cells before it: a chain of finite order.

    Args:
        spec: what the data are; no cell may be missing.
        lags: cells before it that a cell depends on.
        likelihood: of a cell; auto takes the one that fits the data.
    """
    if lags < 1:
        raise OptionError(f"expected at least 1 lag, got {lags}")
    head = cell_sites(spec, likelihood)
    network = LinearCausal(
        head.num_sites,
        head.num_features,
        encoding_for(spec),
        context_size=len(spec.context),
        lags=lags,
    )
    return autoregressive(spec, network, head)
