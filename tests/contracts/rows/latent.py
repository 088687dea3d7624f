"""Latent-variable models."""

from row import Row

EVERYTHING = frozenset({"table", "binary", "levels", "colour", "reals", "gaps", "counts"})
_DENSE = {"hidden_size": 8, "num_blocks": 1, "latent_size": 2}

ROWS = {
    "vae": Row(EVERYTHING, _DENSE),
    "iwae": Row(EVERYTHING, _DENSE | {"num_samples": 3}),
    "miwae": Row(EVERYTHING, _DENSE | {"num_samples": 3}, data="gaps"),
    "conv_vae": Row(frozenset({"binary", "levels", "colour"}), {"channels": 4, "latent_size": 2}),
    "autoencoder": Row(EVERYTHING, _DENSE, kind=None),
    "ppca": Row(
        frozenset({"reals", "gaps"}), {"latent_size": 2}, kind="exact", data="reals", trained=False
    ),
}
