"""What is fitted for the table of published numbers, for how long, and what papers report."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AUTOREGRESSIVE", "LATENT", "SOLVED", "Row"]

SOLVED = ("ppca", "chow_liu", "bayes_net")
"""Recipes that are solved at once, and know no limit of time."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        fit: recipe, data, and options where they are not the recipe's defaults.
        minutes: at most.
        published: log p in nats, or bits per dimension where it says so, and by whom.
        samples: for each datum, where log p is not exact.
        name: of the run; made of recipe and data if empty.
    """

    fit: tuple[str, ...]
    minutes: float
    published: str = ""
    samples: int = 1000
    name: str = ""

    @property
    def run(self) -> str:
        """Name of the run's folder."""
        return self.name or "-".join(self.fit[:2])


LATENT = (
    Row(
        ("vae", "binarized-mnist"),
        10,
        "-89.9, diagonal Gaussian (Rezende & Mohamed 2015, bound)",
        name="vae-binarized-mnist-10",
    ),
    Row(("vae", "binarized-mnist"), 20, name="vae-binarized-mnist-20"),
    Row(("iwae", "binarized-mnist"), 20, "-87.1, k = 50 (Burda et al. 2016)"),
    Row(("conv_vae", "binarized-mnist"), 20),
    *(
        Row((recipe, "binarized-mnist"), 20, published)
        for recipe, published in (
            ("planar_vae", "-87.5, 10 flows (Rezende & Mohamed 2015, bound)"),
            ("iaf_vae", ""),
            ("hvi", "-86.40, 4 leapfrog steps (Salimans et al. 2015)"),
            ("vamp_vae", "-85.57, 1 layer (Tomczak & Welling 2018)"),
            ("hierarchical_vae", "-85.32, k = 50 (Burda et al. 2016)"),
            ("ladder_vae", "-81.74, 5 layers, drawn afresh (Sonderby et al. 2016)"),
        )
    ),
    Row(("pixel_vae", "binarized-mnist"), 20, "-79.21 (Gulrajani et al. 2017)", samples=100),
    Row(("vlae", "binarized-mnist"), 20, "-79.03 (Chen et al. 2017)", samples=100),
    *(
        Row(
            (
                *("sigmoid_belief_net", "binarized-mnist", "--gradient", gradient),
                *("--num-samples", samples, "--epochs", "60", "--patience", "0"),
            ),
            20,
            published,
            samples=200,
            name=f"sigmoid_belief_net-{gradient}",
        )
        for gradient, samples, published in (
            ("reinforce", "1", "-164.0, linear layer (Yin & Zhou 2019, bound)"),
            ("nvil", "1", "-113.1, linear layer (Mnih & Gregor 2014, bound)"),
            ("vimco", "10", ""),
        )
    ),
    Row(
        ("vae", "silhouettes", "--dropout", "0.5"),
        4,
        "-119.69, k = 5 (Li & Turner 2016)",
        samples=5000,
    ),
    Row(
        ("iwae", "silhouettes", "--dropout", "0.5"),
        4,
        "-117.89, k = 5 (Li & Turner 2016)",
        samples=5000,
    ),
    Row(
        ("renyi_vae", "silhouettes", "--alpha=-inf", "--dropout", "0.5"),
        4,
        "-118.01, k = 5 (Li & Turner 2016)",
        samples=5000,
    ),
    Row(("vae", "omniglot"), 5, "another subset than the papers'"),
    Row(("vae", "freyfaces"), 3, "4.40 bits/dim (Berg et al. 2018)"),
    Row(("ppca", "freyfaces", "--dequantize"), 1),
    Row(("vae", "digits"), 2),
)

_NADE_PAPER = "(Larochelle & Murray 2011)"
_MADE_PAPER = "(Germain et al. 2015)"
_TREES = "(Rahman et al. 2014)"
_CIRCUITS = "probabilistic circuits"

AUTOREGRESSIVE = (
    Row(("fvsbn", "dna-nade"), 3, f"-83.64 {_MADE_PAPER}"),
    Row(("fvsbn", "binarized-mnist"), 10, f"-97.45 {_NADE_PAPER}"),
    Row(("nade", "mushrooms"), 3, f"-9.81 {_NADE_PAPER}"),
    Row(("nade", "nips"), 3, f"-273.08 {_NADE_PAPER}"),
    Row(("nade", "binarized-mnist"), 10, f"-88.33 {_NADE_PAPER}"),
    Row(("eonade", "dna-nade", "--num-orders", "16"), 5, "-82.31 (Uria et al. 2014)"),
    Row(("made", "dna-nade"), 3, f"-83.63 {_MADE_PAPER}"),
    Row(
        ("made", "dna-nade", "--num-orders", "8", "--learning-rate", "0.002"),
        5,
        f"-79.66, mask sampling {_MADE_PAPER}",
        name="made-dna-nade-orders",
    ),
    Row(("made", "adult"), 5, f"-13.12 {_MADE_PAPER}"),
    Row(("made", "nltcs"), 5, f"-6.00, {_CIRCUITS}"),
    Row(("made", "baudio"), 5),
    Row(("made", "bnetflix"), 5, f"-56.21, {_CIRCUITS}"),
    Row(("made", "accidents"), 5),
    Row(("made", "pumsb-star"), 5, f"-22.75, {_CIRCUITS}"),
    Row(("made", "bbc"), 5, f"-256.40, {_CIRCUITS}"),
    Row(("made", "binarized-mnist"), 10, f"-88.40, 8,000 units {_MADE_PAPER}"),
    *(
        Row(("chow_liu", name), 1, f"{value} {_TREES}")
        for name, value in (
            ("nltcs", -6.76),
            ("baudio", -44.37),
            ("bnetflix", -60.25),
            ("accidents", -33.17),
            ("pumsb-star", -30.79),
            ("dna", -87.70),
            ("bbc", -261.84),
        )
    ),
    Row(("char_rnn", "tinyshakespeare"), 10, "1.4697 nats a character (nanoGPT, on a GPU)"),
    Row(("gated_pixel_cnn", "binarized-mnist"), 30, "-81.30, PixelCNN (van den Oord et al. 2016)"),
    Row(
        ("pixel_rnn", "binarized-mnist"),
        20,
        "-80.75, one layer of Diagonal BiLSTM (van den Oord et al. 2016)",
    ),
    Row(("wavenet", "fsdd"), 10),
)
