"""NADE and its relatives."""

from row import Row

COMPLETE = frozenset({"binary", "levels", "colour", "reals", "counts"})
SMALL = {"hidden_size": 8, "dropout": 0.1}

ROWS = {
    "nade": Row(COMPLETE, SMALL, kind="exact", latent=False, conditional=True),
    "rnade": Row(
        frozenset({"reals"}),
        {**SMALL, "components": 3},
        kind="exact",
        latent=False,
        conditional=True,
        data="reals",
    ),
    "eonade": Row(
        COMPLETE, {**SMALL, "num_orders": 2}, kind="exact", latent=False, conditional=True
    ),
}
