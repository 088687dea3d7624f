"""The Wasserstein autoencoder."""

from __future__ import annotations

from ancestral.core import OptionError, Specification
from ancestral.distributions import MaximumMeanDiscrepancy, SlicedWasserstein
from ancestral.estimator import Assembly
from ancestral.inference.objectives import Wasserstein
from ancestral.inference.posteriors import PointMass
from ancestral.recipes.parts import dense_pair, encoder_outputs, head_for, latent_parts

__all__ = ["wae"]

_POSTERIORS = ("point", "diagonal", "full")
_DISCREPANCIES = {"mmd": MaximumMeanDiscrepancy, "sliced": SlicedWasserstein}


def wae(
    spec: Specification,
    *,
    discrepancy: str = "mmd",
    prior_weight: float = 100.0,
    latent_size: int = 8,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    posterior: str = "point",
) -> Assembly:
    """Wasserstein autoencoder (Tolstikhin et al., 2018): rebuilds data, and can sample.

    All codes together are made to look like the prior. The cost is -log p(x | z), so that it suits
    the kind of the data. With a deterministic encoder there is no bound, and log p needs
    `evaluate --method ais`.

    Args:
        spec: what the data are.
        discrepancy: of the codes from the prior: mmd, or sliced for a sliced Wasserstein distance.
        prior_weight: of the discrepancy, in nats.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        posterior: point for a deterministic encoder; diagonal or full for a Gaussian one.
    """
    if discrepancy not in _DISCREPANCIES:
        raise OptionError(f"expected discrepancy to be 'mmd' or 'sliced', got {discrepancy!r}")
    head = head_for(spec, likelihood)
    networks = inputs, encoder, _ = dense_pair(
        spec,
        head,
        latent_size,
        encoder_outputs(posterior, latent_size, _POSTERIORS),
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
    )
    model, q = latent_parts(spec, head, latent_size, posterior, networks)
    return Assembly(
        model,
        Wasserstein(_DISCREPANCIES[discrepancy](), prior_weight),
        PointMass(inputs, encoder) if posterior == "point" else q,
    )
