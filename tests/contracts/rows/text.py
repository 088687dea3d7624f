"""Autoregressive models of sequences."""

from row import Row

COMPLETE = frozenset({"binary", "levels", "colour", "reals", "counts"})

ROWS = {
    "char_rnn": Row(
        COMPLETE,
        {"hidden_size": 8, "embedding_size": 4},
        kind="exact",
        latent=False,
        conditional=True,
    ),
    "transformer_ar": Row(
        COMPLETE,
        {"hidden_size": 8, "num_layers": 1, "num_heads": 2},
        kind="exact",
        latent=False,
        conditional=True,
    ),
}
