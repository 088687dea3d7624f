"""Tables over a graph."""

from row import Row

CODED = frozenset({"binary", "levels"})

ROWS = {
    "chow_liu": Row(CODED, kind="exact", latent=False, trained=False),
    "bayes_net": Row(CODED, {"max_parents": 2}, kind="exact", latent=False, trained=False),
}
