"""Projection by what a latent-variable model makes of rows: reconstructions held in the ball."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.applications.embedding import codes_of
from ancestral.applications.purification.ball import Ball
from ancestral.applications.purification.in_order import project_in_order
from ancestral.applications.purification.search import likeliest_within
from ancestral.core import Batch, NotExact
from ancestral.inference.posteriors import Posterior
from ancestral.models import (
    Autoencoder,
    AutoregressiveLikelihood,
    LatentVariableModel,
    NetworkConditional,
)

__all__ = ["ascend", "project_given_codes", "project_reconstruction"]

_ROUNDS = 20
_ROWS = 100  # looked at together: all values of all their cells are tried at once


@torch.no_grad()
def project_reconstruction(
    model: LatentVariableModel | Autoencoder, posterior: Posterior | None, batch: Batch, ball: Ball
) -> Tensor:
    """E[x | z] at the mean of q(z | x), and from there to the nearest row of the ball.

    Args:
        model: in evaluation mode.
        posterior: q; autoencoders have none.
        batch: the rows.
        ball: around them.

    Returns:
        [rows, *shape].

    References:
        | Defense-VAE (Li & Ji, 2019), without its training on attacked images, and with a ball;
        | https://arxiv.org/abs/1812.06570
    """
    return ball.clamp(model.reconstruct(codes_of(model, posterior, batch)))


@torch.no_grad()
def ascend(
    model: LatentVariableModel, posterior: Posterior | None, batch: Batch, ball: Ball
) -> Tensor:
    """Ascent on log p(x, z) in the ball, x and z in turn, until x stays (20 rounds at most).

    Each round takes for z the mean of q(z | x), and then for every cell its likeliest value in
    the ball given z. The second step raises log p(x | z); the first is as good as q is, so that
    the whole is no exact maximiser.

    Raises:
        NotExact: cells depend on each other even given z.
    """
    likelihood = model.likelihood
    if not isinstance(likelihood, NetworkConditional):
        raise NotExact(
            f"expected a likelihood of separate cells to climb on, got "
            f"{type(likelihood).__name__}",
            hint="choose the method 'reconstruction'",
        )
    found = []
    for first in range(0, len(batch), _ROWS):
        rows, box = batch.rows(slice(first, first + _ROWS)), ball.rows(slice(first, first + _ROWS))
        x = rows.x
        for _ in range(_ROUNDS):
            z = codes_of(model, posterior, Batch(x, context=rows.context))
            before = x

            def log_density(values: Tensor, z: Tensor = z) -> Tensor:
                return likelihood.log_prob_cells(values, z)

            x = likeliest_within(log_density, box.low, box.high, box.whole)
            if torch.equal(x, before):
                break
        found.append(x)
    return torch.cat(found)


@torch.no_grad()
def project_given_codes(
    model: LatentVariableModel,
    posterior: Posterior | None,
    batch: Batch,
    ball: Ball,
    *,
    boldness: float,
    uniforms: Tensor | None,
) -> Tensor:
    """For autoregressive decoders: along the decoder's order, given the mean of q(z | x)."""
    likelihood = model.likelihood
    assert isinstance(likelihood, AutoregressiveLikelihood)
    given = likelihood.given(codes_of(model, posterior, batch))
    return project_in_order(
        likelihood.model, batch.x, ball, given, boldness=boldness, uniforms=uniforms
    )
