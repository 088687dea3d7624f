"""Pictures of the latent space: map of the data, KL of each dimension, decoded plane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.core import Batch
from ancestral.distributions import DiagonalNormal
from ancestral.evaluation.diagnostics import ACTIVE_VARIANCE
from ancestral.evaluation.image_pictures import Pixels
from ancestral.evaluation.latents import posterior_means
from ancestral.evaluation.picture import Material, Picture, Section
from ancestral.evaluation.result import log_prob_name
from ancestral.inference.posteriors import Posterior
from ancestral.models import Autoencoder, AutoregressiveModel, LatentVariableModel, OrderEnsemble
from ancestral.plots import coloured_map, kl_bars, labelled_map, latent_plane

__all__ = ["latent_pictures"]

_ROWS_AT_ONCE = 500
_LARGEST_PLANE = 1400  # pixels of the data's own
_MOST_TILES, _MOST_TILES_OF_A_SLICE, _FEWEST_TILES = 20, 12, 6


def latent_pictures(
    model: nn.Module, posterior: Posterior | None, material: Material
) -> list[Picture]:
    """What there is to see of z, or of an autoregressive model's hidden units."""
    if isinstance(model, AutoregressiveModel | OrderEnsemble):
        return _hidden_map(model, material)
    is_autoencoder = isinstance(model, Autoencoder)
    has_density = posterior is not None and posterior.has_density
    has_posterior = isinstance(model, LatentVariableModel) and posterior is not None
    if not is_autoencoder and not has_posterior:
        return []
    means = _all_means(model, posterior, material.rows)
    pictures = []
    if means.shape[1] >= 2:
        pictures.append(_map(means, material, what="means of q" if has_density else "codes"))
        if isinstance(model, LatentVariableModel) and material.spec.image_shape is not None:
            pictures += _plane(model, means, material)
    if material.kl_per_dim is not None and len(material.kl_per_dim) > 1:
        pictures.append(_kl(np.asarray(material.kl_per_dim)))
    elif material.variance_of_means is not None and len(material.variance_of_means) > 1:
        pictures.append(_spread(material.variance_of_means))
    return pictures


def _hidden_map(model: AutoregressiveModel | OrderEnsemble, material: Material) -> list[Picture]:
    """A map of pooled hidden units, where labels colour it and are not given to the model."""
    if material.labels is None or material.rows.context is not None:
        return []
    found = _all_means(model, None, material.rows)
    if found.shape[1] < 2:
        return []
    picture = _map(found, material, what="pooled hidden units")
    return [replace(picture, name="hidden-map", section=Section.LABELS)]


def _all_means(model: nn.Module, posterior: Posterior | None, rows: Batch) -> Tensor:
    parts = [
        posterior_means(model, posterior, rows.rows(slice(first, first + _ROWS_AT_ONCE)))
        for first in range(0, len(rows), _ROWS_AT_ONCE)
    ]
    return torch.cat(parts).flatten(1)


def _map(means: Tensor, material: Material, *, what: str) -> Picture:
    points, axis_names, view = _in_the_plane(means.double().cpu().numpy())
    start = f"The {what} of {len(points):,} held-out data{view}"
    if material.labels is not None:
        codes, positions = np.unique(material.labels, return_inverse=True)
        known = material.label_names
        names = [str(c) if known is None else known[int(c)] for c in codes]
        figure = labelled_map(points, positions, names, axis_names)
        caption = f"{start}, coloured by label (which the model has not seen)."
    else:
        name = log_prob_name(material.log_prob_kind)
        figure = coloured_map(points, material.row_log_prob, f"{name}, nats", axis_names)
        coloured = f", coloured by the {name}" if material.row_log_prob is not None else ""
        caption = f"{start}{coloured}."
    return Picture("latent-map", Section.LATENT, caption, figure)


def _in_the_plane(means: np.ndarray) -> tuple[np.ndarray, tuple[str, str], str]:
    """[rows, 2], names of the axes, and words for the caption."""
    if means.shape[1] == 2:
        return means, ("z1", "z2"), ""
    centred = means - means.mean(0)
    u, scales, _ = np.linalg.svd(centred, full_matrices=False)
    share = scales[:2] ** 2 / max(float((scales**2).sum()), 1e-300)
    names = (f"first component ({share[0]:.0%})", f"second component ({share[1]:.0%})")
    view = (
        f": the first two principal components of {means.shape[1]} dimensions, with "
        f"{share.sum():.0%} of the variance"
    )
    return u[:, :2] * scales[:2], names, view


def _kl(kl: np.ndarray) -> Picture:
    caption = (
        "KL from prior to posterior of each latent dimension, mean over the data, largest first. "
        "Dimensions below the dashed line (0.01 nats) carry next to nothing of x."
    )
    figure = kl_bars(kl, ACTIVE_VARIANCE)
    return Picture("kl-per-dimension", Section.LATENT, caption, figure)


def _spread(variance: np.ndarray) -> Picture:
    caption = (
        "How much the posterior mean of each latent unit moves over the data, largest first. "
        "Units below the dashed line (0.01) are idle (Burda et al., 2016). The KL of each unit "
        "has no closed form here."
    )
    figure = kl_bars(variance, ACTIVE_VARIANCE, quantity="variance of the mean", unit="")
    return Picture("variance-of-means", Section.LATENT, caption, figure)


def _plane(model: LatentVariableModel, means: Tensor, material: Material) -> list[Picture]:
    """E[x | z] on a grid of equal prior probability in the two most used dimensions."""
    prior = model.prior()
    if not isinstance(prior, DiagonalNormal):
        return []
    pixels = Pixels(material.spec, material.rows)
    height, width, _ = pixels.shape
    most = _MOST_TILES if means.shape[1] == 2 else _MOST_TILES_OF_A_SLICE
    tiles = max(_FEWEST_TILES, min(most, _LARGEST_PLANE // max(height, width)))
    first, second = means.double().var(0).topk(2).indices.sort().values.tolist()
    share = (torch.arange(tiles, dtype=means.dtype, device=means.device) + 0.5) / tiles
    ticks = torch.special.ndtri(share)
    z = prior.mean.expand(tiles * tiles, -1).clone()
    across, up = ticks.repeat(tiles), ticks.flip(0).repeat_interleave(tiles)
    z[:, first] = prior.mean[first] + prior.stddev[first] * across
    z[:, second] = prior.mean[second] + prior.stddev[second] * up
    decoded = torch.cat([model.reconstruct(part) for part in z.split(_ROWS_AT_ONCE)])
    figure = latent_plane(
        pixels(decoded),
        tiles,
        (f"z{first + 1}", f"z{second + 1}"),
        (float(ticks[0]), 0.0, float(ticks[-1])),
    )
    caption = "The latent plane: E[x | z] on a grid that the prior's inverse distribution function"
    caption += " maps from equal steps of probability (axes in prior standard deviations)."
    if means.shape[1] > 2:
        caption += (
            f" Of {means.shape[1]} dimensions the two whose posterior means vary most are shown;"
            " the others are held at the prior's mean."
        )
    return [Picture("latent-plane", Section.LATENT, caption, figure, is_vector=False)]
