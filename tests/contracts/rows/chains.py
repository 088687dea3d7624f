"""Latent-variable models whose posterior moves: by leapfrog, or by gradient steps."""

from __future__ import annotations

from row import Row

EVERYTHING = frozenset({"table", "binary", "levels", "colour", "reals", "gaps", "counts"})
_DENSE = {"hidden_size": 8, "num_blocks": 1, "latent_size": 2}

ROWS = {
    "hvi": Row(EVERYTHING, _DENSE | {"leapfrog_steps": 2, "inverse_size": 8}),
    "svi_vae": Row(EVERYTHING, _DENSE | {"svi_steps": 5}),
    "semi_amortized_vae": Row(EVERYTHING, _DENSE | {"svi_steps": 2}),
}
