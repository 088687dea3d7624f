"""Belief networks."""

from row import Row

EVERYTHING = frozenset({"table", "binary", "levels", "colour", "reals", "gaps", "counts"})

ROWS = {"sigmoid_belief_net": Row(EVERYTHING, {"layers": "1,1", "num_samples": 3})}
