"""The registry of recipes: `list`, the command line and the contract tests are made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ancestral.core import Registry, Specification
from ancestral.estimator import DensityEstimator, Recipe, RunConfig
from ancestral.recipes import references
from ancestral.recipes.autoencoder import autoencoder
from ancestral.recipes.conv_vae import conv_vae
from ancestral.recipes.fvsbn import fvsbn, logistic_ar
from ancestral.recipes.iwae import iwae
from ancestral.recipes.ppca import ppca
from ancestral.recipes.vae import vae

__all__ = ["REGISTRY", "build", "load"]

REGISTRY: Registry[Recipe] = Registry("recipe")

for _recipe in (
    Recipe(
        "vae",
        "variational autoencoder, dense networks, data of any kind",
        vae,
        "Kingma & Welling (2014), Auto-Encoding Variational Bayes",
        references.KINGMA_2014,
        tags=("latent",),
    ),
    Recipe(
        "conv_vae",
        "variational autoencoder, convolutional networks, images",
        conv_vae,
        "Salimans, Kingma & Welling (2015), MCMC and Variational Inference, section 5",
        references.SALIMANS_2015,
        tags=("latent", "images"),
    ),
    Recipe(
        "iwae",
        "importance-weighted autoencoder: a tighter bound from several samples",
        iwae,
        "Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders",
        references.IWAE_2016,
        tags=("latent",),
    ),
    Recipe(
        "ppca",
        "probabilistic principal component analysis: exact log p, closed-form fit",
        ppca,
        "Tipping & Bishop (1999), Probabilistic Principal Component Analysis",
        references.TIPPING_1999,
        tags=("latent", "exact"),
    ),
    Recipe(
        "autoencoder",
        "plain autoencoder: embeds and reconstructs; no log p, no samples",
        autoencoder,
        "Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data",
        references.HINTON_2006,
        tags=("no likelihood",),
    ),
    Recipe(
        "logistic_ar",
        "logistic regression of each cell on the few before it: exact log p",
        logistic_ar,
        "Frey (1998), Graphical Models for Machine Learning and Digital Communication",
        references.FREY_1998,
        tags=("autoregressive", "exact"),
    ),
    Recipe(
        "fvsbn",
        "fully visible sigmoid belief network: each cell on all before it, exact log p",
        fvsbn,
        "Neal (1992), Connectionist Learning of Belief Networks",
        references.NEAL_1992,
        tags=("autoregressive", "exact"),
    ),
):
    REGISTRY.add(_recipe.name, _recipe)


def build(
    name: str,
    spec: Specification | None = None,
    *,
    device: str | None = None,
    **options: Any,
) -> DensityEstimator:
    """An estimator by recipe name, assembled when it is fitted.

    Args:
        name: of the recipe; see `ancestral list`.
        spec: what the data are; None infers it from the data given to `fit`.
        device: where to compute; None: CUDA if there is one.
        options: of the recipe (`latent_size`, ...) and of training (`epochs`, `seed`, ...).

    Raises:
        OptionError: for an unknown recipe or option, with the nearest names.

    Example:
        >>> build("vae", latent_size=20)
        DensityEstimator('vae', latent_size=20)
    """
    recipe = REGISTRY[name]
    recipe.split_options(options)
    return DensityEstimator(recipe, spec, options, device)


def load(folder: str | Path, *, device: str | None = None) -> DensityEstimator:
    """Read a run folder; nothing in it is executed.

    Raises:
        RunError: if it is not a run of this library, or not finished.
    """
    recipe = REGISTRY[RunConfig.load(Path(folder)).recipe]
    return DensityEstimator.load(folder, recipe, device)
