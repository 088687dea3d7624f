"""How numbers are spread over the data: log p, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ancestral.plots.style import DATA, INK, MODEL, legend, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["khat_histogram", "log_prob_histogram"]

_COLOURS = (MODEL, DATA)
_KHAT_ENDS = (-0.5, 1.5)  # beyond them k-hat says nothing that the ends do not


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


def khat_histogram(khat: np.ndarray, threshold: float) -> Figure:
    """Pareto k-hat of each datum, those above the threshold in the warning colour.

    Values outside [-0.5, 1.5], infinite ones included, are counted in the bars at the ends.

    Args:
        khat: [rows]; NaN counts as infinite.
        threshold: above which the importance-sampled log p of a datum is not to be trusted.
    """
    figure = new_figure(3.2)
    axes = figure.subplots()
    low, high = _KHAT_ENDS
    # an edge at the threshold, so that no bar is half good
    step = 0.1
    below = np.arange(threshold, low - step, -step)[::-1]
    edges = np.concatenate([below, np.arange(threshold + step, high + step, step)])
    middle = 0.5 * (edges[1:] + edges[:-1])
    shown = np.clip(np.nan_to_num(khat, nan=np.inf), middle[0], middle[-1])
    # on the threshold itself a datum is still good: the bars are open below, closed above
    counts = np.histogram(-shown, bins=-edges[::-1])[0][::-1] / len(khat)
    good = middle < threshold
    share = float((khat <= threshold).mean())
    for chosen, colour, label in (
        (good, DATA, f"to be trusted: {share:.0%} of the data"),
        (~good, MODEL, f"log p probably too low: {1 - share:.0%}"),
    ):
        axes.bar(middle[chosen], counts[chosen], width=0.92 * step, color=colour, label=label)
    axes.axvline(threshold, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    tidy(axes, xlabel="k-hat of a datum (smaller is better)", ylabel="share of the data")
    axes.set_xlim(edges[0] - 0.05, edges[-1] + 0.05)
    axes.locator_params(axis="x", nbins=6)
    legend(axes, "lower left", anchor=(0.0, 1.0))
    return figure
