"""WaveNet."""

from row import Row

COMPLETE = frozenset({"binary", "levels", "colour", "reals", "counts"})
SMALL = {"channels": 4, "num_layers": 2, "num_stacks": 1}

ROWS = {"wavenet": Row(COMPLETE, SMALL, kind="exact", latent=False, conditional=True)}
