"""`AutoregressiveCodec`: entropy coding along `step`, all rows of a batch side by side."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.batched import BatchedCodec
from ancestral.applications.compression.channels import Channel
from ancestral.applications.compression.codec import CodingOptions, Progress
from ancestral.applications.compression.gaps import Gaps
from ancestral.applications.compression.grids import Grids
from ancestral.applications.compression.sites import SiteCoders, Unseen
from ancestral.distributions import Site
from ancestral.models import AutoregressiveModel
from ancestral.models.autoregressive import decode
from ancestral.models.autoregressive.decoding import step_threads

__all__ = ["AutoregressiveCodec", "code_rows"]


class AutoregressiveCodec(BatchedCodec):
    r"""Each site of a batch of rows in turn, by its conditional given the sites before it.

    A row costs :math:`-\sum_t \log_2 p(x_t | x_{<t})` bits, which is -log2 p of it, and next to
    nothing more.

    A decoder knows of a row what it has decoded, so it goes from site to site with the cached
    `step` of the network. One pass over all sites would give the encoder the same features, but
    for their last bits: sums are then made in another order. A mass that differs by one in 2^24
    makes all that follows garbage, so the encoder takes the very steps of the decoder: the same
    loop, with batches of the same rows.

    Args:
        model: in evaluation mode.
        grids: of cells that are no codes.
        options: what else decides on the words.

    References:
        | Language Modeling Is Compression (Deletang et al., 2024), section 2;
        | https://arxiv.org/abs/2309.10668
    """

    def __init__(self, model: AutoregressiveModel, grids: Grids, options: CodingOptions) -> None:
        super().__init__(options)
        self._model = model
        self._coders = SiteCoders(model.head, grids, model.units)

    def exchange(
        self,
        channel: Channel,
        num_rows: int,
        symbols: Tensor | None,
        context: Tensor | None,
        progress: Progress | None,
        gaps: Gaps | None,
    ) -> Tensor:
        """The rows of one batch; see `BatchedCodec`."""
        return code_rows(
            self._model, self._coders, channel, num_rows, symbols, context, progress, gaps
        )


def code_rows(
    model: AutoregressiveModel,
    coders: SiteCoders,
    channel: Channel,
    num_rows: int,
    symbols: Tensor | None,
    context: Tensor | None = None,
    progress: Progress | None = None,
    gaps: Gaps | None = None,
) -> Tensor:
    """The rows of one batch, site after site, exchanged with a channel.

    Args:
        model: in evaluation mode.
        coders: of its sites.
        channel: to exchange with.
        num_rows: of the batch.
        symbols: [num_rows, *shape] int64 if they are known.
        context: [num_rows, context_size] or None.
        progress: is told of rows, a part at each site.
        gaps: cells that are missing: they are not exchanged, and the network sees the guess.

    Returns:
        [num_rows, *shape] int64.
    """
    network, dtype = model.network, model.network.dtype
    known = None
    if symbols is not None:
        known = symbols.reshape(num_rows, network.num_sites, network.width).cpu().numpy()
    seen = guess = None
    if gaps is not None:
        seen, guess = gaps.sites(network.num_sites, network.width)
    found = np.zeros((num_rows, network.num_sites, network.width), dtype=np.int64)

    def choose(t: int, index: int, site: Site, features: Tensor) -> Tensor:
        del t, site
        own = features[:, : model.head.num_site_features(index)]
        given = None if known is None else known[:, index]
        part = None if seen is None or guess is None else Unseen(seen[:, index], guess[:, index])
        found[:, index] = coders.code(index, own, channel, given, part)
        if progress is not None:
            progress(num_rows / network.num_sites)
        return coders.numbers(index, found[:, index], features)

    given = None if context is None else context.to(network.device, dtype)
    with step_threads(network, num_rows):
        decode(network, model.head, num_rows, choose, given)
    return torch.from_numpy(found).reshape(num_rows, *model.shape)
