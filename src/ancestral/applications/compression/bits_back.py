"""`BitsBackCodec`: lossless compression by latent-variable models, at the rate of their ELBO."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.bits_back_cells import cells_given_latents
from ancestral.applications.compression.bits_back_plan import MOST_GROWTH, UNIT, Plan
from ancestral.applications.compression.codec import CodingOptions, Encoded, Progress
from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.gaps import Gaps, batch_of
from ancestral.applications.compression.grids import Grids
from ancestral.applications.compression.latent_coders import Factor, Stacked, continuous_columns
from ancestral.applications.compression.latent_grid import LatentGrid, spread_rows
from ancestral.applications.compression.latent_spaces import latent_space
from ancestral.applications.compression.latent_stack import (
    FEWEST_BITS,
    LatentStack,
    random_words,
)
from ancestral.core import Batch, IncompatibleChoices, Specification, derived_seed
from ancestral.inference.posteriors import Posterior
from ancestral.models import AutoregressiveLikelihood, LatentVariableModel

__all__ = ["BitsBackCodec", "bits_back_codec"]

_ROWS_FOR_A_GRID, _ROWS_FOR_A_PLAN = 256, 64
_SPARE = 1.25  # bits that the z of a batch may take, by those that they take in the mean
_WORD, _HEADROOM = 32, 64  # bits of a word; words
_WHITE = 31  # stream of derived seeds


class BitsBackCodec:
    r"""Bits-back coding with asymmetric numeral systems: about -ELBO for each row.

    To encode x: draw z ~ q(z | x) *by popping it from the stack*, push x by p(x | z), push z by
    p(z). A decoder pops z, pops x, and then knows q(z | x), by which it pushes z back: the bits
    that chose z were not lost. So a row costs

    .. math:: E_q[-\log_2 p(x | z) - \log_2 p(z) + \log_2 q(z | x)] = -\mathrm{ELBO} / \ln 2

    All rows of a batch take these steps together, so that networks see batches. The z of a batch
    are drawn before any x of it is pushed: the first batch, which finds nothing on the stack, is
    paid for with random bits, and is therefore small; later ones grow with what is there, made
    white (`LatentStack.whiten`). The random bits stay in the words and count like all others; a
    decoder ends with them in its hands, and knows by them that it went right.

    Networks must give a decoder the very floats that they gave the encoder. So both evaluate them
    on the same batches, in the same memory layout; `CodingOptions` belong to the words.

    Cells that are missing are not coded: q is told which they are, as it is when a bound is
    evaluated, and the cost is -ELBO of those that are there.

    Args:
        model: p, in evaluation mode.
        posterior: q, in evaluation mode.
        spec: what a row is.
        grids: of cells that are no codes.
        options: what else decides on the words.

    Raises:
        IncompatibleChoices: the prior or the likelihood cannot be coded.
        NotExact: there is no q to draw from.

    References:
        | Practical lossless compression with latent variables using bits back coding (Townsend,
        | Bird & Barber, 2019), section 2; https://arxiv.org/abs/1901.04866
        | HiLLoC (Townsend, Bird, Kunze & Barber, 2020), on batches and several layers;
        | https://arxiv.org/abs/1912.09953
    """

    def __init__(
        self,
        model: LatentVariableModel,
        posterior: Posterior,
        spec: Specification,
        grids: Grids,
        options: CodingOptions,
    ) -> None:
        if spec.context:
            raise IncompatibleChoices("bits-back does not take models that are given classes")
        self._spec, self._grids, self._options = spec, grids, options
        # what pixels come after others cannot be scored without these: q sees the guess
        self._takes_masks = not isinstance(model.likelihood, AutoregressiveLikelihood)
        self._cells = cells_given_latents(model, grids)
        self._space = latent_space(model, posterior, options.seed)
        weight = next(model.parameters())
        self._like = torch.zeros((), dtype=weight.dtype, device=weight.device)

    @torch.no_grad()
    def encode(
        self,
        symbols: Tensor,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Encoded:
        """The rows as words; see `Codec`.

        The content is minus the ELBO of these rows, estimated at the z that are sent, one for
        each row.
        """
        del context
        seed, stack, content, coded = self._options.seed, LatentStack(), 0.0, 0.0
        if len(symbols) == 0:
            return Encoded(stack.words, content, coded, "lower_bound")
        grid = self._grid_for(symbols, gaps)
        plan = self._plan_for(symbols, grid, gaps)
        num_random = 0
        for number, start in enumerate(plan.starts):
            part = slice(start, start + plan.size_at(start))
            rows, own = symbols[part], _of(gaps, part)
            beneath = stack.words
            stack.whiten(grid.size * len(rows), self._seed_of(number))
            pushed = self._push(stack, grid, rows, own)
            if stack.lowest < FEWEST_BITS:
                # once more, above more random words than it can need, less those left untouched
                more = num_random + 2 * grid.size * len(rows) + _HEADROOM
                added = random_words(more, seed)[: more - num_random]
                stack = LatentStack(np.concatenate((added, beneath)))
                stack.whiten(grid.size * len(rows), self._seed_of(number))
                pushed = self._push(stack, grid, rows, own)
                unused = (stack.lowest - FEWEST_BITS) // _WORD
                stack, num_random = LatentStack(stack.words[unused:]), more - unused
            content += pushed.nats
            coded += pushed.coded_nats
            if progress is not None:
                progress(len(rows))
        grid.push(stack, self._continuous)
        plan.push(stack)
        return Encoded(stack.words, content, coded, "lower_bound")

    @torch.no_grad()
    def decode(
        self,
        words: np.ndarray,
        num_rows: int,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Tensor:
        """The rows; see `Codec`."""
        del context
        stack = LatentStack(words)
        if num_rows == 0:
            return torch.zeros(0, *self._spec.shape, dtype=torch.int64)
        plan = Plan.pop(stack, num_rows, self._options.batch_size)
        grid = LatentGrid.pop(stack, self._continuous)
        parts = []
        for number, start in reversed(list(enumerate(plan.starts))):
            size = plan.size_at(start)
            own = _of(gaps, slice(start, start + size))
            parts.append(self._pop(stack, grid, size, own))
            stack.whiten(grid.size * size, self._seed_of(number))
            if progress is not None:
                progress(size)
        left = stack.words
        if not np.array_equal(left, random_words(len(left), self._options.seed)):
            raise CorruptWords(
                "expected to find the bits that the encoder began with, got others",
                hint="decompress on the kind of machine that compressed, with the same versions",
            )
        return torch.cat(parts[::-1])

    def _push(
        self, stack: LatentStack, grid: LatentGrid, rows: Tensor, gaps: Gaps | None
    ) -> _Pushed:
        """A batch, onto the stack."""
        stack.lowest = before = stack.num_bits
        inferred = self._space.inferred(self._batch(rows, gaps))
        u = self._coder(inferred.factors, grid, narrow=True).pop(stack, len(rows))
        bits_of_z = before - stack.num_bits
        z = self._space.to_model(u)
        under = stack.num_bits
        nats = self._cells.push(stack, z, rows, gaps)
        coded = (stack.num_bits - under) * math.log(2)
        self._coder(self._space.prior(), grid, narrow=False).push(stack, u)
        ratio = float(inferred.log_ratio(u).double().sum())
        return _Pushed(bits_of_z, nats - ratio, coded - ratio)

    def _pop(
        self, stack: LatentStack, grid: LatentGrid, num_rows: int, gaps: Gaps | None
    ) -> Tensor:
        """A batch, from the stack."""
        u = self._coder(self._space.prior(), grid, narrow=False).pop(stack, num_rows)
        rows = self._cells.pop(stack, self._space.to_model(u), gaps)
        inferred = self._space.inferred(self._batch(rows, gaps))
        self._coder(inferred.factors, grid, narrow=True).push(stack, u)
        return rows

    def _coder(self, factors: list[Factor], grid: LatentGrid, *, narrow: bool) -> Stacked:
        return Stacked(factors, grid, self._like, narrow=narrow)

    @cached_property
    def _continuous(self) -> np.ndarray:
        return continuous_columns(self._space.prior(), self._like)

    def _batch(self, rows: Tensor, gaps: Gaps | None) -> Batch:
        # a copy: products may round otherwise where rows begin elsewhere in memory
        return batch_of(self._grids.numbers(rows).to(self._like).clone(), self._masks(gaps))

    def _masks(self, gaps: Gaps | None) -> Gaps | None:
        return gaps if self._takes_masks else None

    def _seed_of(self, batch: int) -> int:
        return derived_seed(self._options.seed, _WHITE, batch)

    def _plan_for(self, symbols: Tensor, grid: LatentGrid, gaps: Gaps | None) -> Plan:
        """How batches may grow, found on some of the rows, above random bits."""
        some = spread_rows(len(symbols), _ROWS_FOR_A_PLAN)
        rows = symbols[some]
        stack = LatentStack(random_words(2 * grid.size * len(rows) + _HEADROOM, 0))
        before = stack.num_bits
        pushed = self._push(stack, grid, rows, _of(gaps, some))
        share = (stack.num_bits - before) / (_SPARE * max(pushed.bits_of_z, 1))
        growth = min(max(int(share * UNIT), 1), MOST_GROWTH - 1)
        return Plan(len(symbols), self._options.batch_size, growth)

    def _grid_for(self, symbols: Tensor, gaps: Gaps | None) -> LatentGrid:
        some = spread_rows(len(symbols), _ROWS_FOR_A_GRID)
        batch = self._batch(symbols[some], _of(gaps, some))
        return LatentGrid.fine(*self._space.moments(batch))


def _of(gaps: Gaps | None, rows: slice) -> Gaps | None:
    return None if gaps is None else gaps.rows(rows)


@dataclass(frozen=True)
class _Pushed:
    """What a batch took: bits from the stack that z was drawn with, and -ELBO in nats.

    The last is -ELBO by the masses that cells were coded by.
    """

    bits_of_z: int
    nats: float
    coded_nats: float


def bits_back_codec(
    model: LatentVariableModel,
    posterior: Posterior,
    spec: Specification,
    grids: Grids,
    options: CodingOptions,
) -> BitsBackCodec:
    """The codec of a latent-variable model; see `BitsBackCodec`."""
    return BitsBackCodec(model, posterior, spec, grids, options)
