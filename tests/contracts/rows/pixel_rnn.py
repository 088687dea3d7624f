"""Recurrence over images."""

from row import Row

ROWS = {
    "pixel_rnn": Row(
        frozenset({"binary", "levels", "colour"}),
        {"hidden_size": 3, "first_kernel_size": 3},
        kind="exact",
        latent=False,
        conditional=True,
    ),
}
