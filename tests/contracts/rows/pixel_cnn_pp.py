"""Shifted convolutions over images of levels."""

from row import Row

ROWS = {
    "pixel_cnn_pp": Row(
        frozenset({"levels", "colour"}),
        {"channels": 4, "num_halvings": 1, "components": 2},
        kind="exact",
        latent=False,
        data="levels",
        conditional=True,
    ),
}
