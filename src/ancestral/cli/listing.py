"""`list` and `cite`."""

from __future__ import annotations

from pathlib import Path

from ancestral.cli.declared import recipes
from ancestral.cli.tables import print_table

__all__ = ["cite", "list_all"]


def list_all() -> None:
    """Recipes and data sets, one line each, with reference."""
    from ancestral.data import DATASETS

    print_table(
        ("recipe", "what it is", "reference"),
        [(r.name, r.summary, r.reference) for r in recipes().values()],
    )
    print()
    print_table(
        ("data set", "what it is", "reference"),
        [(name, row.title, row.reference) for name, row in DATASETS.items()],
    )


def cite(run_or_recipe: str, /) -> None:
    """BibTeX of the parts in use, to standard output.

    Args:
        run_or_recipe: folder of a run, or name of a recipe.
    """
    from ancestral.core import OptionError
    from ancestral.core.registry import nearest
    from ancestral.estimator import RunConfig
    from ancestral.recipes import REGISTRY

    name = run_or_recipe
    if name not in REGISTRY:
        if not Path(name).exists():
            raise OptionError(
                f"expected a run folder or a recipe, got {name!r}",
                hint=nearest(name, list(REGISTRY)),
            )
        name = RunConfig.load(Path(name)).recipe
    print(REGISTRY[name].bibtex)
