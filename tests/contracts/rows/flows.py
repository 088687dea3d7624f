"""Latent-variable models whose posterior goes through a flow."""

from row import Row

EVERYTHING = frozenset({"table", "binary", "levels", "colour", "reals", "gaps", "counts"})
_DENSE = {"hidden_size": 8, "num_blocks": 1, "latent_size": 2, "context_size": 4}

ROWS = {
    "planar_vae": Row(EVERYTHING, _DENSE | {"num_flows": 3}),
    "iaf_vae": Row(EVERYTHING, _DENSE | {"flow_size": 8}),
}
