"""A deep latent Gaussian model without an encoder."""

from __future__ import annotations

from typing import Any

from ancestral.core import OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import PathwiseClosedFormKl
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.inference.posteriors import PerDatum, Refinement
from ancestral.recipes.parts import dense_latent_model

__all__ = ["resolve_svi_vae", "svi_vae"]


def resolve_svi_vae(spec: Specification, num_rows: int, options: dict[str, Any]) -> dict[str, Any]:
    """As many rows of variational parameters as there are training rows.

    Raises:
        OptionError: fewer were asked for.
    """
    del spec
    given = options["num_rows"]
    if given is not None and given < num_rows:
        raise OptionError(
            f"expected num_rows of at least {num_rows}, the number of training rows, got {given}",
            hint="leave out --num-rows: each training row has a posterior of its own",
        )
    return {**options, "num_rows": num_rows if given is None else given}


def svi_vae(
    spec: Specification,
    *,
    num_rows: int | None = None,
    latent_size: int = 32,
    hidden_size: int = 512,
    num_blocks: int = 2,
    dropout: float = 0.1,
    likelihood: str = "auto",
    svi_steps: int = 100,
    kl_warm_up: int = 0,
    free_nats: float = 0.0,
) -> Assembly:
    """The decoder of `vae` with a free Gaussian for each datum (Hoffman et al., 2013).

    There is no encoder and so no amortisation gap; each new datum takes an optimisation instead.

    Args:
        spec: what the data are.
        num_rows: of training; None: as many as there are.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks in the decoder.
        dropout: of the blocks, while training.
        likelihood: p(x | z) by name; auto: by the kind of the data.
        svi_steps: of Adam, to fit q to rows that were not in training.
        kl_warm_up: steps over which the weight of the KL grows from 0 to 1.
        free_nats: KL of each latent variable that costs nothing.
    """
    model, _ = dense_latent_model(
        spec,
        latent_size=latent_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
        likelihood=likelihood,
        posterior="diagonal",
    )
    refinement = Refinement(num_steps=svi_steps, num_samples=4)
    q = PerDatum(1000 if num_rows is None else num_rows, latent_size, refinement=refinement)
    objective = Variational(Elbo(), PathwiseClosedFormKl(), WarmUp(kl_warm_up), free_nats)
    return Assembly(model, objective, q)
