"""Convolutions over images."""

from row import Row

_IMAGES = frozenset({"binary", "levels", "colour"})
_SMALL = {"channels": 6, "first_kernel_size": 3}

_EXACT = {"kind": "exact", "latent": False, "conditional": True}

ROWS = {
    "pixel_cnn": Row(_IMAGES, _SMALL | {"num_blocks": 1}, **_EXACT),
    "gated_pixel_cnn": Row(_IMAGES, _SMALL | {"num_layers": 2}, **_EXACT),
}
