"""Pictures of models of images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.core import Batch, Kind, Specification
from ancestral.evaluation.latents import posterior_means
from ancestral.evaluation.picture import Material, Picture, Section
from ancestral.inference.posteriors import Posterior
from ancestral.models import Autoencoder, AutoregressiveLikelihood, LatentVariableModel
from ancestral.plots import ImageRow, image_grids, image_rows

__all__ = ["Pixels", "image_pictures"]

_MISSING = (0.85, 0.45, 0.55)  # a colour that no grey image has
_DRAWS = "x from p(x | z), pixel by pixel, as `ancestral sample` does"
_MEANS = "E[x | z] is shown, as papers do, without the noise of each pixel"
_RECONSTRUCTED, _STRIPS, _STEPS = 16, 6, 8


class Pixels:
    """From the data's units to pixels between 0 (black) and 1 (white), the same for all pictures.

    Args:
        spec: of images.
        rows: whose range real numbers are scaled by; discrete data have their own.
    """

    def __init__(self, spec: Specification, rows: Batch) -> None:
        assert spec.image_shape is not None
        self.shape = spec.image_shape
        if spec.kind in (Kind.BINARY, Kind.UNIT):
            self._low, self._high = 0.0, 1.0
        elif spec.num_levels is not None:
            self._low, self._high = 0.0, spec.num_levels - 1.0
        else:
            x = rows.x if rows.observed is None else rows.x[rows.observed]
            self._low, self._high = float(x.min()), float(x.max())

    def __call__(self, x: Tensor, observed: Tensor | None = None) -> np.ndarray:
        """[count, *shape] -> [count, height, width, 3]."""
        spread = (self._high - self._low) or 1.0
        scaled = ((x.double().cpu() - self._low) / spread).clamp(0, 1)
        pixels = scaled.reshape(len(x), *self.shape).expand(-1, -1, -1, 3).numpy()
        if observed is None:
            return pixels
        seen = observed.cpu().reshape(len(x), *self.shape).expand(-1, -1, -1, 3).numpy()
        return np.where(seen, pixels, np.array(_MISSING))

    def columns(self, at_most: int) -> int:
        """Images in a row such that each has enough pixels of the figure."""
        width = self.shape[1]
        return max(2, min(at_most, at_most if width <= 40 else at_most * 40 // width))


def image_pictures(
    model: nn.Module, posterior: Posterior | None, material: Material
) -> list[Picture]:
    """Data beside samples, reconstructions and interpolations."""
    pixels = Pixels(material.spec, material.rows)
    pictures = []
    if isinstance(model, LatentVariableModel):
        pictures.append(_samples(model, material, pixels))
    if isinstance(model, Autoencoder) or (
        isinstance(model, LatentVariableModel) and posterior is not None
    ):
        pictures.append(_reconstructions(model, posterior, material, pixels))
        if len(material.rows) >= 2:
            pictures.append(_interpolations(model, posterior, material, pixels))
    return pictures


def _samples(model: LatentVariableModel, material: Material, pixels: Pixels) -> Picture:
    columns = pixels.columns(8)
    count = min(columns * columns, len(material.rows))
    z = model.sample_latents(count)
    drawn_by_order = isinstance(model.likelihood, AutoregressiveLikelihood)
    samples = model.likelihood.sample(z) if drawn_by_order else model.reconstruct(z)
    data = material.rows.rows(slice(0, count))
    grids = [("data", pixels(data.x, data.observed)), ("samples", pixels(samples))]
    shown = _DRAWS if drawn_by_order else _MEANS
    caption = f"Held-out data, and as many samples: z is drawn from the prior, and {shown}."
    figure = image_grids(grids, columns)
    return Picture("samples", Section.SAMPLES, caption, figure, is_vector=False)


def _reconstructions(
    model: LatentVariableModel | Autoencoder,
    posterior: Posterior | None,
    material: Material,
    pixels: Pixels,
) -> Picture:
    columns = pixels.columns(8)
    batch = material.rows.rows(slice(0, min(_RECONSTRUCTED, 2 * columns)))
    rebuilt = pixels(model.reconstruct(posterior_means(model, posterior, batch)))
    originals = pixels(batch.x, batch.observed)
    rows = []
    for first in range(0, len(batch), columns):
        part = slice(first, first + columns)
        if len(originals[part]) == min(columns, len(batch)):  # strips of one length
            rows += [ImageRow(originals[part], "original"), ImageRow(rebuilt[part], "rebuilt")]
    has_density = posterior is not None and posterior.has_density
    code = "the posterior mean of z" if has_density else "its code"
    caption = f"Held-out images, and below each E[x | z] at {code}."
    return Picture(
        "reconstructions", Section.RECONSTRUCTIONS, caption, image_rows(rows), is_vector=False
    )


def _interpolations(
    model: LatentVariableModel | Autoencoder,
    posterior: Posterior | None,
    material: Material,
    pixels: Pixels,
) -> Picture:
    steps = pixels.columns(_STEPS)
    count = min(_STRIPS, len(material.rows) // 2)
    batch = material.rows.rows(slice(0, 2 * count))
    codes = posterior_means(model, posterior, batch)
    weights = torch.linspace(0, 1, steps, dtype=codes.dtype, device=codes.device)
    originals = pixels(batch.x, batch.observed)
    rows = []
    for i in range(count):
        path = torch.lerp(codes[2 * i], codes[2 * i + 1], weights.unsqueeze(-1))
        between = pixels(model.reconstruct(path))
        strip = np.concatenate((originals[[2 * i]], between, originals[[2 * i + 1]]))
        rows.append(ImageRow(strip, spaces=(1, steps + 1)))
    caption = (
        f"Between two held-out images (the outermost columns): {steps} steps on the straight "
        "line between their codes, decoded to E[x | z]."
    )
    return Picture(
        "interpolations", Section.INTERPOLATIONS, caption, image_rows(rows), is_vector=False
    )
