"""Masked dense networks."""

from row import Row

COMPLETE = frozenset({"binary", "levels", "colour", "reals", "counts"})

ROWS = {
    "made": Row(COMPLETE, {"hidden_size": 8}, kind="exact", latent=False, conditional=True),
}
