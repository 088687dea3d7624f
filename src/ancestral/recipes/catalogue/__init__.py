"""The registry of recipes: `list`, the command line and the contract tests are made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ancestral.core import Registry, Specification
from ancestral.estimator import DensityEstimator, Recipe, RunConfig
from ancestral.recipes.catalogue.latent import LATENT
from ancestral.recipes.catalogue.sequential import SEQUENTIAL

__all__ = ["REGISTRY", "build", "load"]

REGISTRY: Registry[Recipe] = Registry("recipe")

for _recipe in (*LATENT, *SEQUENTIAL):
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
