"""The missing-data importance-weighted autoencoder."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.distributions import Head, Normal, Product, StudentT, default_head
from ancestral.estimator import Assembly
from ancestral.inference.bounds import ImportanceWeighted
from ancestral.inference.gradients import DoublyReparameterized
from ancestral.inference.objectives import Variational
from ancestral.networks import HiddenInputs, WithLinearPath
from ancestral.recipes.parts import dense_pair, encoder_outputs, head_for, latent_parts

__all__ = ["miwae"]

_LEAST_DEGREES = 3.0  # of freedom, as in the authors' code: spreads exist


def miwae(
    spec: Specification,
    *,
    num_samples: int = 20,
    latent_size: int = 10,
    hidden_size: int = 128,
    num_blocks: int = 2,
    dropout: float = 0.0,
    hidden_inputs: float = 0.25,
    likelihood: str = "auto",
    posterior: str = "diagonal",
) -> Assembly:
    """Missing-data importance-weighted autoencoder (Mattei & Frellsen, 2019), for incomplete data.

    The importance-weighted bound of the observed cells, a standard normal prior, and Student's t
    for real cells, with degrees of freedom of their own (3 at least); the encoder sees zeros for
    missing cells, and which they are. 20 samples, 10 latent variables and 128 units are the
    paper's. Ours are residual layers with layer normalisation instead of three plain ones, doubly
    reparameterised gradients, a linear path beside the decoder, which starts as a linear model,
    and an encoder to which further cells are hidden while it trains: both make up for few rows.

    Args:
        spec: what the data are.
        num_samples: K, importance samples of the bound.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the encoder and in the decoder.
        dropout: of the blocks, while training.
        hidden_inputs: share of the known cells that the encoder is not shown while training, at
            most; for each row it is drawn from 0 to this.
        likelihood: p(x | z) by name; auto: student-t for real cells, others by their kind.
        posterior: diagonal, or full for a full covariance.
    """
    head = _robust(default_head(spec)) if likelihood == "auto" else head_for(spec, likelihood)
    inputs, encoder, decoder = dense_pair(
        spec,
        head,
        latent_size,
        encoder_outputs(posterior, latent_size),
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
    )
    hiding = HiddenInputs(inputs, len(spec.shape), hidden_inputs)
    networks = (hiding, encoder, WithLinearPath(decoder, latent_size))
    model, q = latent_parts(spec, head, latent_size, posterior, networks)
    objective = Variational(ImportanceWeighted(num_samples), DoublyReparameterized())
    return Assembly(model, objective, q)


def _robust(head: Head) -> Head:
    """The same with Student's t in place of Gaussians."""
    if isinstance(head, Normal):
        return StudentT(head.event_shape, min_degrees=_LEAST_DEGREES)
    if isinstance(head, Product):
        return Product(tuple((group, _robust(part)) for group, part in head.parts), head.names)
    return head
