"""Deep generative models whose likelihood you can evaluate.

Names are imported when they are first used, so that `import ancestral` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ancestral.core import Batch, Estimate, Kind, Specification
    from ancestral.data import Dataset, load_dataset
    from ancestral.estimator import DensityEstimator
    from ancestral.recipes import REGISTRY, build, load

__version__ = "0.1.0"

__all__ = [
    "REGISTRY",
    "Batch",
    "Dataset",
    "DensityEstimator",
    "Estimate",
    "Kind",
    "Specification",
    "__version__",
    "build",
    "load",
    "load_dataset",
]

_HOMES = {
    "REGISTRY": "recipes",
    "build": "recipes",
    "load": "recipes",
    "DensityEstimator": "estimator",
    "Dataset": "data",
    "load_dataset": "data",
    "Batch": "core",
    "Estimate": "core",
    "Kind": "core",
    "Specification": "core",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ancestral' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ancestral.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
