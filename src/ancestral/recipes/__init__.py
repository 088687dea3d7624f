"""Papers as parts: each file assembles, and holds no mathematics."""

from ancestral.recipes.catalogue import REGISTRY, build, load

__all__ = ["REGISTRY", "build", "load"]
