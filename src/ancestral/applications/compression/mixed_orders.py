"""`MixedOrdersCodec`: ensembles of orders, by bits-back over the order of each row."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.autoregressive import code_rows
from ancestral.applications.compression.batched import refuse_left_over
from ancestral.applications.compression.channels import Reader, Recorder
from ancestral.applications.compression.codec import CodingOptions, Encoded, Progress
from ancestral.applications.compression.entropy import WordStack, integer_masses
from ancestral.applications.compression.gaps import Gaps
from ancestral.applications.compression.grids import Grids
from ancestral.applications.compression.sites import SiteCoders
from ancestral.models import OrderEnsemble

__all__ = ["MixedOrdersCodec"]


class MixedOrdersCodec:
    r"""p(x) = 1/M \sum_m p(x | o_m) for -log2 p(x) bits, though it has no cheap conditionals.

    A row is coded along one order, and which one is said: log2 M bits and -log2 p(x | o_m). But
    the choice is free, so it can carry bits: it is made by taking p(o_m | x) from the words that
    are there already. A decoder, once it knows x, puts these bits back. On average that leaves
    -log2 p(x). The batch that is coded first finds no words: all its rows go along the one order
    that suits them best.

    It costs a pass for each order beside the steps.

    Args:
        model: in evaluation mode.
        grids: of cells that are no codes.
        options: what else decides on the words.

    References:
        | Practical lossless compression with latent variables using bits back coding (Townsend et
        | al., 2019), section 2, with the order as the latent variable;
        | https://arxiv.org/abs/1901.04866
    """

    def __init__(self, model: OrderEnsemble, grids: Grids, options: CodingOptions) -> None:
        self._model = model
        self._members = [model.with_order(order).eval() for order in model.orders]
        self._coders = SiteCoders(model.model.head, grids, model.model.units)
        self._grids = grids
        self._options = options

    def encode(
        self,
        symbols: Tensor,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Encoded:
        """The rows as words; see `Codec`."""
        stack, content, gain = WordStack(), 0.0, 0.0
        batches = self._batches(len(symbols))
        for rows in reversed(batches):
            some = symbols[rows]
            given = None if context is None else context[rows]
            own = None if gaps is None else gaps.rows(rows)
            joint = self._log_joint(some, given, own)
            content -= float(joint.logsumexp(0).sum()) - len(some) * math.log(self._num_orders)
            if rows is batches[-1]:
                best = np.array([int(joint.sum(1).argmax())])
                gain += self._record(stack, best.repeat(len(some)), some, given, progress, own)
                stack.push(best, self._prior(1))
            else:
                orders = stack.pop(self._posterior(joint))
                gain += self._record(stack, orders, some, given, progress, own)
                stack.push(orders, self._prior(len(some)))
        content += self._grids.log_steps(symbols, None if gaps is None else gaps.observed)
        return Encoded(stack.words, content, content + gain)

    def decode(
        self,
        words: np.ndarray,
        num_rows: int,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Tensor:
        """The rows; see `Codec`."""
        stack = WordStack(words)
        found = torch.zeros(num_rows, *self._model.shape, dtype=torch.int64)
        batches = self._batches(num_rows)
        for rows in batches:
            some = found[rows]  # a view
            given = None if context is None else context[rows]
            own = None if gaps is None else gaps.rows(rows)
            if rows is batches[-1]:
                orders = stack.pop(self._prior(1)).repeat(len(some))
                self._read(stack, orders, some, given, progress, own)
            else:
                orders = stack.pop(self._prior(len(some)))
                self._read(stack, orders, some, given, progress, own)
                stack.push(orders, self._posterior(self._log_joint(some, given, own)))
        refuse_left_over(stack)
        return found

    def _record(
        self,
        stack: WordStack,
        orders: np.ndarray,
        symbols: Tensor,
        context: Tensor | None,
        progress: Progress | None,
        gaps: Gaps | None,
    ) -> float:
        """Put rows on the stack, those of an order together.

        Returns:
            Nats that the masses coded by take more than what the model says; less than 0, mostly.
        """
        gain = 0.0
        # the last group first: the decoder meets the first one first
        for order, rows in reversed(_groups(orders)):
            recorder, given = Recorder(), None if context is None else context[rows]
            code_rows(
                self._members[order],
                self._coders,
                recorder,
                len(rows),
                symbols[rows],
                given,
                progress,
                None if gaps is None else gaps.rows(rows),
            )
            gain += recorder.coded_nats - recorder.content_nats
            recorder.push_to(stack)
        return gain

    def _read(
        self,
        stack: WordStack,
        orders: np.ndarray,
        found: Tensor,
        context: Tensor | None,
        progress: Progress | None,
        gaps: Gaps | None,
    ) -> None:
        """Take rows from the stack, into `found`."""
        for order, rows in _groups(orders):
            reader, given = Reader(stack), None if context is None else context[rows]
            found[rows] = code_rows(
                self._members[order],
                self._coders,
                reader,
                len(rows),
                None,
                given,
                progress,
                None if gaps is None else gaps.rows(rows),
            )

    def _batches(self, num_rows: int) -> list[slice]:
        """Of nearly equal size, so that the one that is coded first leaves bits for the next."""
        number = math.ceil(num_rows / self._options.batch_size)
        ends = [num_rows * k // number for k in range(number + 1)] if number else [0]
        return [slice(*pair) for pair in itertools.pairwise(ends)]

    @property
    def _num_orders(self) -> int:
        return self._model.num_orders

    @torch.no_grad()
    def _log_joint(self, symbols: Tensor, context: Tensor | None, gaps: Gaps | None) -> Tensor:
        """Log p(x | o_m), [M, rows], in double precision; missing sites do not count."""
        network = self._model.model.network
        x = self._grids.numbers(symbols).to(network.device, network.dtype)
        given = None if context is None else context.to(network.device, network.dtype)
        if gaps is None:
            return self._model.log_prob_orders(x, given).double().cpu()
        seen = gaps.observed.reshape(len(x), network.num_sites, network.width).any(-1)
        sites = torch.stack([m.log_prob_sites(x, given).double() for m in self._members]).cpu()
        return torch.where(seen, sites, 0.0).sum(-1)

    def _posterior(self, joint: Tensor) -> np.ndarray:
        return integer_masses(joint.softmax(0).T.contiguous().numpy())

    def _prior(self, num_rows: int) -> np.ndarray:
        return integer_masses(np.ones((num_rows, self._num_orders)))


def _groups(orders: np.ndarray) -> list[tuple[int, Tensor]]:
    """Rows of each order that some row has."""
    return [
        (order, torch.from_numpy(np.flatnonzero(orders == order)))
        for order in np.unique(orders).tolist()
    ]
