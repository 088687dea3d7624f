"""Linear autoregressive models."""

from row import Row

COMPLETE = frozenset({"binary", "levels", "colour", "reals", "counts"})

ROWS = {
    "logistic_ar": Row(COMPLETE, {"lags": 3}, kind="exact", latent=False, conditional=True),
    "fvsbn": Row(COMPLETE, kind="exact", latent=False, conditional=True),
}
