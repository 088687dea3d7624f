"""Latent-variable models with learnt priors, several layers, or an autoregressive decoder."""

from row import Row

EVERYTHING = frozenset({"table", "binary", "levels", "colour", "reals", "gaps", "counts"})
_DENSE = {"hidden_size": 8, "num_blocks": 1}
_PIXELS = {"latent_size": 2, "channels": 4, "num_layers": 1, "first_kernel_size": 3}

ROWS = {
    "hierarchical_vae": Row(
        EVERYTHING, _DENSE | {"latent_size": 1, "top_size": 1, "inner_size": 6}
    ),
    "ladder_vae": Row(EVERYTHING, _DENSE | {"latent_size": 1, "num_layers": 2, "inner_size": 6}),
    "vamp_vae": Row(EVERYTHING, _DENSE | {"latent_size": 2, "num_components": 5}),
    "pixel_vae": Row(
        frozenset({"binary", "levels", "colour", "reals", "counts"}),
        _PIXELS | {"hidden_size": 8, "num_layers": 3, "dilation_cycle": 2},
    ),
    "vlae": Row(frozenset({"binary", "levels", "colour"}), _PIXELS | {"flow_size": 6}),
}
