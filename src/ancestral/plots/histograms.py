"""How log p is spread over the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import DATA, MODEL, legend, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["log_prob_histogram"]

_COLOURS = (MODEL, DATA)


def log_prob_histogram(values: Mapping[str, np.ndarray], quantity: str = "log p(x)") -> Figure:
    """Histograms of one number for each datum, with mean and standard error.

    The lowest 0.5 % are counted in the first bar, so that a few outliers do not hide the rest.

    Args:
        values: [rows] in nats for each split, two at most, such as `{"test": ..., "train": ...}`.
        quantity: what the values are.
    """
    figure = new_figure(3.3)
    axes = figure.subplots()
    finite = {name: v[np.isfinite(v)] for name, v in values.items()}
    together = np.concatenate(list(finite.values()))
    low, high = np.percentile(together, 0.5), together.max()
    bins = np.linspace(low, high if high > low else low + 1.0, 41)
    # training data last, so that they have the colour they have in learning curves
    ordered = sorted(finite.items(), key=lambda item: item[0] == "train")
    for (name, numbers), colour in zip(ordered, _COLOURS, strict=False):
        mean = numbers.mean()
        error = numbers.std(ddof=1) / np.sqrt(len(numbers)) if len(numbers) > 1 else np.nan
        text = f"{name}: mean {mean:.2f} ± {error:.2f}".replace("-", "\N{MINUS SIGN}")
        weights = np.full(len(numbers), 1 / len(numbers))
        axes.hist(
            np.clip(numbers, bins[0], bins[-1]),
            bins=bins.tolist(),
            weights=weights,
            histtype="stepfilled",
            facecolor=(colour, 0.3),
            edgecolor=colour,
            linewidth=1.4,
            label=text,
        )
        axes.axvline(mean, color=colour, linewidth=1.8, linestyle=(0, (4, 2)))
    tidy(axes, xlabel=f"{quantity} of a datum, nats", ylabel="share of the data")
    margin = 0.02 * (bins[-1] - bins[0])
    axes.set_xlim(bins[0] - margin, bins[-1] + margin)  # a mean that outliers pull may be outside
    legend(axes, "lower left", anchor=(0.0, 1.0))
    return figure
