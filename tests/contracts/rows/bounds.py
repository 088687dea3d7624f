"""Latent-variable models with other bounds and objectives."""

from row import Row

_EVERYTHING = frozenset({"table", "binary", "levels", "colour", "reals", "gaps", "counts"})
_ORDERED = frozenset({"binary", "levels", "colour", "reals", "counts"})
_DENSE = {"hidden_size": 8, "num_blocks": 1, "latent_size": 2}

ROWS = {
    "renyi_vae": Row(_EVERYTHING, _DENSE | {"num_samples": 3}),
    "beta_vae": Row(_EVERYTHING, _DENSE),
    "info_vae": Row(_EVERYTHING, _DENSE),
    "wae": Row(_EVERYTHING, _DENSE, kind=None, samples=True),
    "mmd_net": Row(_ORDERED, _DENSE, kind=None, samples=True, latent=False),
}
