"""Pictures of numbers alone: learning curves, and histograms of log p and k-hat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ancestral.evaluation.picture import Material, Picture, Section
from ancestral.evaluation.result import log_prob_name
from ancestral.plots import CurvePanel, khat_histogram, learning_curves, log_prob_histogram

__all__ = ["histogram_pictures", "learning_pictures"]

# the objectives' targets, and how a page names them
_TARGETS = {
    "objective": "what training maximises",  # where that is not the bound
    "bound": "bound",
    "log_prob": "log p(x)",
    "minus_reconstruction_error": "minus the reconstruction error",
}
_TERMS = {
    "bound": "bound",
    "reconstruction": "reconstruction, E log p(x|z)",
    "kl": "KL(q(z|x) || p(z))",
    "discrepancy": "discrepancy of codes and prior",
}
_WITHOUT_UNIT = ("objective", "discrepancy")
_FEWEST_EPOCHS = 2
_CLOSE = 1e-3


def learning_pictures(material: Material) -> list[Picture]:
    """Target of training by epoch, with its terms below; nothing for fits in closed form."""
    records = material.history
    target = next((t for t in _TARGETS if any(f"train/{t}" in r for r in records)), None)
    if target is None or len(records) < _FEWEST_EPOCHS:
        return []
    panels = [_panel(records, target, _TARGETS[target])]
    panels += [
        _panel(records, term, label)
        for term, label in _TERMS.items()
        if term != target and any(f"train/{term}" in r for r in records)
    ]
    best = _best_epoch(records, target)
    caption = f"{_TARGETS[target].capitalize()} after each epoch"
    if target == "objective":
        caption += ", which is not a bound on log p(x)"
    elif len(panels) > 1:
        caption += f", in nats per datum, and {_about_terms(records, target)}"
    else:
        caption += ", in nats per datum"
    if target == "minus_reconstruction_error":
        caption += " (not a likelihood)"
    if best is not None:
        caption += ". The dashed line marks the best epoch, whose weights were kept"
    caption += ". Training values are means over the epoch while the weights change."
    figure = learning_curves(panels, best)
    return [Picture("learning-curves", Section.LEARNING, caption, figure)]


def histogram_pictures(material: Material) -> list[Picture]:
    """How log p is spread over the data, and k-hat where it was sampled."""
    values = {name: v for name, v in material.log_prob.items() if len(v) > 1}
    if not values:
        return []
    name = log_prob_name(material.log_prob_kind)
    of_each = "log p" if material.log_prob_kind == "exact" else f"The {name}"
    caption = (
        f"{of_each} of each datum; dashed lines are the means, ± their standard errors. The "
        "lowest 0.5 % are counted in the first bar."
    )
    figure = log_prob_histogram(values, name)
    pictures = [Picture("log-prob-histogram", Section.LOG_PROB, caption, figure)]
    if material.khat is not None and len(material.khat) > 1:
        pictures.append(_khat(material))
    return pictures


def _khat(material: Material) -> Picture:
    assert material.khat is not None
    caption = (
        "k-hat of each datum: how heavy the tail of its importance weights is (Vehtari et al., "
        f"2024). Above the dashed line ({material.khat_threshold:.2f}) a few samples carry most "
        "of the weight, and log p of that datum is probably higher than estimated; more samples "
        "or a better posterior would tell. Values beyond the ends are counted in the end bars."
    )
    figure = khat_histogram(material.khat, material.khat_threshold)
    return Picture("khat-histogram", Section.LOG_PROB, caption, figure)


def _about_terms(records: Sequence[Mapping[str, Any]], target: str) -> str:
    """What the panels below the bound have to do with it."""
    names = (f"train/{target}", "train/reconstruction", "train/kl")
    rows = [[r[name] for name in names] for r in records if all(name in r for name in names)]
    if rows and all(
        math.isclose(bound, reconstruction - kl, rel_tol=_CLOSE, abs_tol=_CLOSE)
        for bound, reconstruction, kl in rows
    ):
        return "the two terms it is the difference of"
    return "below it the two terms of the ELBO, of which it is not the difference"


def _panel(records: Sequence[Mapping[str, Any]], name: str, label: str) -> CurvePanel:
    return CurvePanel(
        label if name in _WITHOUT_UNIT else f"{label}, nats per datum",
        _curve(records, f"train/{name}"),
        _curve(records, f"valid/{name}"),
    )


def _curve(records: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    having = [r for r in records if key in r]
    return [r["epoch"] for r in having], [r[key] for r in having]


def _best_epoch(records: Sequence[Mapping[str, Any]], target: str) -> float | None:
    epochs, values = _curve(records, f"valid/{target}")
    return epochs[values.index(max(values))] if values else None
