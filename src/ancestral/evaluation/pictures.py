"""`draw_pictures`: every picture that a model and its data allow."""

from __future__ import annotations

import torch
from torch import nn

from ancestral.core import seeded
from ancestral.evaluation.bound_pictures import bound_pictures
from ancestral.evaluation.image_pictures import image_pictures
from ancestral.evaluation.latent_pictures import latent_pictures
from ancestral.evaluation.number_pictures import histogram_pictures, learning_pictures
from ancestral.evaluation.picture import Material, PictureSet
from ancestral.evaluation.sequential_pictures import ByOrder, sequential_pictures
from ancestral.evaluation.table_pictures import table_pictures
from ancestral.evaluation.text_pictures import text_pictures
from ancestral.inference.posteriors import Posterior
from ancestral.models import Autoencoder

__all__ = ["draw_pictures"]

_NO_SAMPLES = (
    "There are no samples: an autoencoder has no prior over its codes, so there is nothing to "
    "draw them from. `vae` trains the same networks with one."
)


@torch.no_grad()
def draw_pictures(
    model: nn.Module, posterior: Posterior | None, material: Material, *, seed: int = 0
) -> PictureSet:
    """Learning curves, samples, reconstructions, latent pictures, the bound, and histograms.

    What is drawn follows from the data (images, tables, vectors), the number of latent
    variables, and whether there are labels, a history and values of log p.

    Args:
        model: a latent-variable model or an autoencoder, in evaluation mode.
        posterior: q, or None.
        material: rows, labels, history and numbers.
        seed: of the samples drawn.
    """
    drawn = learning_pictures(material)
    omitted = [_NO_SAMPLES] if isinstance(model, Autoencoder) else []
    with seeded(seed):
        if material.spec.image_shape is not None and isinstance(model, ByOrder):
            drawn += sequential_pictures(model, material)
        elif material.spec.image_shape is not None:
            drawn += image_pictures(model, posterior, material)
        elif material.vocabulary is not None:
            drawn += text_pictures(model, material)
        elif not isinstance(model, Autoencoder):
            found = table_pictures(model, material)
            drawn, omitted = drawn + found.drawn, omitted + found.omitted
        drawn += latent_pictures(model, posterior, material)
    drawn += bound_pictures(material)
    return PictureSet(drawn + histogram_pictures(material), omitted)
