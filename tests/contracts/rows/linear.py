"""Linear autoregressive models."""

from row import Row

COMPLETE = frozenset({"binary", "levels", "colour", "reals", "counts"})

ROWS = {
    "logistic_ar": Row(COMPLETE, {"lags": 3}, kind="exact", latent=False),
    "fvsbn": Row(COMPLETE, kind="exact", latent=False),
}
