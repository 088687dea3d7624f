"""A vector for each row from a model that has no latent variables."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.models.autoregressive.ensemble import OrderEnsemble
from ancestral.models.autoregressive.model import AutoregressiveModel
from ancestral.networks.causal import hidden_units

__all__ = ["features_of"]

_MOST = 4096  # numbers of a row that are all kept
_GRID = 4  # cells of an image each way, beyond that


@torch.no_grad()
def features_of(
    model: AutoregressiveModel | OrderEnsemble, x: Tensor, context: Tensor | None = None
) -> Tensor:
    r"""What a network makes of each row, [batch, D]: its last hidden layer, pooled.

    Where hidden units belong to no site (NADE once it has seen all of x, MADE), they are the
    vector. Where each site has its own, all of them are, if there are at most 4,096 numbers; else
    their mean over a 4 x 4 grid of an image, or over all sites of a sequence. Of several orders
    it is the mean.

    A network without a hidden layer (FVSBN) gives the Fisher score of its output biases instead,

    .. math:: u_t = \nabla_{f_t} \log p(x_t \mid f_t(x_{<t})),

    for binary cells x_t minus its prediction, pooled likewise: what surprised the model.

    A row's vector is its own, whatever the batch, up to rounding.

    Args:
        model: in evaluation mode.
        x: [batch, *shape].
        context: [batch, context_size] or None.

    References:
        | Exploiting Generative Models in Discriminative Classifiers (Jaakkola & Haussler, 1999)
        | Generative Pretraining from Pixels (Chen et al., 2020), section 2.4
    """
    if isinstance(model, OrderEnsemble):
        parts = [features_of(model.model.with_order(o), x, context) for o in model.orders]
        return torch.stack(parts).mean(0)
    sites = model.to_sites(x)
    found = hidden_units(model.network, sites, context)
    if found is None:
        found = _fisher_scores(model, sites, context)
    return found if found.ndim == 2 else _pooled(found, model.shape)


def _fisher_scores(model: AutoregressiveModel, sites: Tensor, context: Tensor | None) -> Tensor:
    """[batch, T, P]."""
    with torch.enable_grad():
        features = model.network(sites, context).detach().requires_grad_()
        log_prob = model.head.log_prob(features, sites).sum()
        return torch.autograd.grad(log_prob, features)[0]


def _pooled(hidden: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[batch, places, H] -> [batch, D]."""
    if hidden[0].numel() <= _MOST:
        return hidden.flatten(1)
    if len(shape) == 1:
        return hidden.mean(1)
    height, width = shape[:2]
    maps = hidden.reshape(len(hidden), height, width, -1).permute(0, 3, 1, 2)
    return F.adaptive_avg_pool2d(maps, (min(_GRID, height), min(_GRID, width))).flatten(1)
