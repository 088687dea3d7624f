"""`purify`: the row of a ball that a model finds likely."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, nn

from ancestral.applications.purification.ball import Ball
from ancestral.applications.purification.in_order import project_in_order
from ancestral.applications.purification.through_codes import (
    ascend,
    project_given_codes,
    project_reconstruction,
)
from ancestral.core import Batch, IncompatibleChoices, NotExact, derived_seed, seeded
from ancestral.inference.posteriors import Posterior
from ancestral.models import (
    Autoencoder,
    AutoregressiveLikelihood,
    AutoregressiveModel,
    LatentVariableModel,
    OrderEnsemble,
)

__all__ = ["Projection", "has_objective", "is_bold", "purify"]

_STREAM = 31  # of derived seeds


class Projection(StrEnum):
    """How the ball is searched."""

    AUTO = "auto"  # greedy along an order where the model has one, else the reconstruction
    GREEDY = "greedy"  # cell after cell, the likeliest value given those before it
    SAMPLED = "sampled"  # cell after cell, a draw from p restricted to the ball
    RECONSTRUCTION = "reconstruction"  # E[x | z] at the mean of q(z | x), clamped
    ASCENT = "ascent"  # z and x in turn, each the best given the other


def purify(
    model: nn.Module,
    batch: Batch,
    ball: Ball,
    *,
    posterior: Posterior | None = None,
    method: Projection | str = Projection.AUTO,
    boldness: float = 0.0,
    seed: int = 0,
) -> Tensor:
    """Rows of the ball that the model finds likelier, one for each row of the batch.

    Args:
        model: in evaluation mode.
        batch: complete rows, in the units of the model's data.
        ball: what each of their cells may become.
        posterior: q, for latent-variable models.
        method: how the ball is searched.
        boldness: along an order: nats by which a change as large as the ball allows is likelier
            than none; 0 is the paper's search, see `project_in_order`.
        seed: of the sampled projection.

    Returns:
        [rows, *shape] in the units of the model's data.

    Raises:
        IncompatibleChoices: the model cannot be searched by that method.
        NotExact: the model has neither an order of cells nor codes of rows.

    Example:
        >>> from ancestral.distributions import Bernoulli, site_head
        >>> from ancestral.networks.causal import LinearCausal, Plain
        >>> network = LinearCausal(6, 1, Plain())
        >>> with torch.no_grad():
        ...     _ = network.output_bias.fill_(-1.0)  # black is likelier
        >>> model = AutoregressiveModel(network, site_head(Bernoulli((6,)), 6), (6,)).eval()
        >>> x = torch.ones(1, 6)
        >>> low, whole = torch.tensor([[1.0, 1, 1, 0, 0, 0]]), torch.ones(6, dtype=torch.bool)
        >>> ball = Ball(low, x, whole, torch.ones(6))
        >>> purify(model, Batch(x), ball).tolist()
        [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]]
    """
    chosen = Projection(method)
    if isinstance(model, AutoregressiveModel | OrderEnsemble):
        single = model.model if isinstance(model, OrderEnsemble) else model
        _refuse_other(model, chosen, Projection.GREEDY, Projection.SAMPLED)
        noise = _noise(single, ball, chosen, seed)
        context = batch.context
        return project_in_order(model, batch.x, ball, context, boldness=boldness, uniforms=noise)
    if isinstance(model, LatentVariableModel):
        if isinstance(model.likelihood, AutoregressiveLikelihood):
            _refuse_other(model, chosen, *set(Projection) - {Projection.ASCENT})
            if chosen is not Projection.RECONSTRUCTION:
                noise = _noise(model.likelihood.model, ball, chosen, seed)
                return project_given_codes(
                    model, posterior, batch, ball, boldness=boldness, uniforms=noise
                )
        _refuse_other(model, chosen, Projection.RECONSTRUCTION, Projection.ASCENT)
        if chosen is Projection.ASCENT:
            return ascend(model, posterior, batch, ball)
        return project_reconstruction(model, posterior, batch, ball)
    if isinstance(model, Autoencoder):
        _refuse_other(model, chosen, Projection.RECONSTRUCTION)
        return project_reconstruction(model, None, batch, ball)
    raise NotExact(
        f"{type(model).__name__} cannot purify: it neither decides cell after cell nor rebuilds "
        "rows from codes",
        hint="autoregressive models, `gated_pixel_cnn` first among them, and `vae` can",
    )


def has_objective(method: Projection | str) -> bool:
    """Whether a search is for what is likelier, rather than a draw."""
    return Projection(method) is not Projection.SAMPLED


def is_bold(model: nn.Module, method: Projection | str) -> bool:
    """Whether a search goes along an order of cells, and so heeds boldness."""
    ordered = isinstance(model, AutoregressiveModel | OrderEnsemble) or (
        isinstance(model, LatentVariableModel)
        and isinstance(model.likelihood, AutoregressiveLikelihood)
    )
    return ordered and Projection(method) is not Projection.RECONSTRUCTION


def _refuse_other(model: nn.Module, chosen: Projection, *able: Projection) -> None:
    if chosen is Projection.AUTO or chosen in able:
        return
    names = " or ".join(repr(str(one)) for one in sorted(able) if one is not Projection.AUTO)
    raise IncompatibleChoices(
        f"expected the method {names} for a model of type {type(model).__name__}, got "
        f"{str(chosen)!r}",
        hint="the method 'auto' takes one that fits",
    )


def _noise(model: AutoregressiveModel, ball: Ball, chosen: Projection, seed: int) -> Tensor | None:
    if chosen is not Projection.SAMPLED:
        return None
    network = model.network
    shape = (len(ball), network.num_sites, network.width)
    with seeded(derived_seed(seed, _STREAM)):
        return torch.rand(shape, dtype=network.dtype, device=network.device)
