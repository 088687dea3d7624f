"""`AutoregressiveCodec`: entropy coding along `step`, all rows of a batch side by side."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.channels import Channel, Reader, Recorder
from ancestral.applications.compression.codec import CodingOptions, Encoded, Progress
from ancestral.applications.compression.entropy import CorruptWords, WordStack
from ancestral.applications.compression.grids import Grids
from ancestral.applications.compression.sites import SiteCoders
from ancestral.distributions import Site
from ancestral.models import AutoregressiveModel
from ancestral.models.autoregressive import decode
from ancestral.models.autoregressive.decoding import step_threads

__all__ = ["AutoregressiveCodec", "code_rows", "refuse_left_over"]


class AutoregressiveCodec:
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
        self._model = model
        self._options = options
        self._coders = SiteCoders(model.head, grids, model.units)

    def encode(
        self, symbols: Tensor, context: Tensor | None = None, progress: Progress | None = None
    ) -> Encoded:
        """The rows as words; see `Codec`."""
        stack, content = WordStack(), 0.0
        size = self._options.batch_size
        # the last batch first, so that the decoder, which unstacks, meets the first one first
        for at in reversed(range(0, len(symbols), size)):
            recorder = Recorder()
            code_rows(
                self._model,
                self._coders,
                recorder,
                len(symbols[at : at + size]),
                symbols[at : at + size],
                None if context is None else context[at : at + size],
                progress,
            )
            content += recorder.content_nats
            recorder.push_to(stack)
        return Encoded(stack.words, content)

    def decode(
        self,
        words: np.ndarray,
        num_rows: int,
        context: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """The rows; see `Codec`."""
        stack = WordStack(words)
        size = self._options.batch_size
        parts = [
            code_rows(
                self._model,
                self._coders,
                Reader(stack),
                min(size, num_rows - at),
                None,
                None if context is None else context[at : at + size],
                progress,
            )
            for at in range(0, num_rows, size)
        ]
        refuse_left_over(stack)
        return torch.cat(parts)


def code_rows(
    model: AutoregressiveModel,
    coders: SiteCoders,
    channel: Channel,
    num_rows: int,
    symbols: Tensor | None,
    context: Tensor | None = None,
    progress: Progress | None = None,
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

    Returns:
        [num_rows, *shape] int64.
    """
    network, dtype = model.network, model.network.dtype
    known = None
    if symbols is not None:
        known = symbols.reshape(num_rows, network.num_sites, network.width).cpu().numpy()
    found = np.zeros((num_rows, network.num_sites, network.width), dtype=np.int64)

    def choose(t: int, index: int, site: Site, features: Tensor) -> Tensor:
        del t, site
        own = features[:, : model.head.num_site_features(index)]
        given = None if known is None else known[:, index]
        found[:, index] = coders.code(index, own, channel, given)
        if progress is not None:
            progress(num_rows / network.num_sites)
        return coders.numbers(index, found[:, index], features)

    given = None if context is None else context.to(network.device, dtype)
    with step_threads(network, num_rows):
        decode(network, model.head, num_rows, choose, given)
    return torch.from_numpy(found).reshape(num_rows, *model.shape)


def refuse_left_over(stack: WordStack) -> None:
    """Refuse words of which some are left when all rows are decoded.

    Raises:
        CorruptWords: that is so.
    """
    if not stack.is_empty:
        raise CorruptWords("expected words that end with the last row, got more")
