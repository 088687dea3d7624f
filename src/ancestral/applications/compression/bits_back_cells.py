"""Coders of x given z: cells that are independent, or sites that come one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.autoregressive import code_rows
from ancestral.applications.compression.channels import Channel, Reader, Recorder
from ancestral.applications.compression.gaps import Gaps
from ancestral.applications.compression.grids import Grids, Whole
from ancestral.applications.compression.latent_stack import LatentStack
from ancestral.applications.compression.ordered_levels import pop_levels, push_levels
from ancestral.applications.compression.sites import SiteCoders, Unseen
from ancestral.core import DataError, IncompatibleChoices
from ancestral.distributions import (
    Bernoulli,
    CellHead,
    DiscretizedLogistic,
    Head,
    Product,
    SiteMixture,
    site_head,
)
from ancestral.models import AutoregressiveLikelihood, LatentVariableModel, NetworkConditional

__all__ = ["CellsGivenLatents", "cells_given_latents"]


class CellsGivenLatents(ABC):
    """p(x | z) as a coder of rows of symbols, [rows, *shape] int64."""

    @abstractmethod
    def push(self, stack: LatentStack, z: Tensor, symbols: Tensor, gaps: Gaps | None) -> float:
        """Put the rows on the stack.

        Args:
            stack: to put them on.
            z: [rows, L].
            symbols: [rows, *shape].
            gaps: cells that are not put there.

        Returns:
            -log p(x | z) of all rows, in nats: the mass of x, on grids that of its intervals.
        """

    @abstractmethod
    def pop(self, stack: LatentStack, z: Tensor, gaps: Gaps | None) -> Tensor:
        """Take the rows from the stack, [rows, *shape], with the guess where there are gaps."""


def cells_given_latents(model: LatentVariableModel, grids: Grids) -> CellsGivenLatents:
    """The coder of a model's likelihood.

    Args:
        model: p.
        grids: of cells that are no codes.

    Raises:
        IncompatibleChoices: cells depend on each other given z in a way that has no conditionals.
    """
    likelihood = model.likelihood
    if isinstance(likelihood, AutoregressiveLikelihood):
        return _Sites(likelihood, grids)
    if not isinstance(likelihood, NetworkConditional):
        raise _refusal(type(likelihood).__name__)
    head = likelihood.head
    if isinstance(head, Bernoulli):
        return _Bits(likelihood)
    if _is_ordered(head) and all(isinstance(grid, Whole | None) for grid in grids.cells):
        return _Levels(likelihood)
    if not isinstance(head, CellHead | Product):
        raise _refusal(type(head).__name__)
    return _Cells(likelihood, grids)


class _Bits(CellsGivenLatents):
    """Zeros and ones, all of them in one call."""

    def __init__(self, likelihood: NetworkConditional) -> None:
        self._likelihood = likelihood

    def push(self, stack: LatentStack, z: Tensor, symbols: Tensor, gaps: Gaps | None) -> float:
        _expect_codes(symbols, 2)
        features = self._likelihood.features(z)
        known = symbols.cpu().numpy().ravel()
        stack.push_bits(_seen(known, gaps), _seen(self._masses(features), gaps))
        return _nats(self._likelihood.head, features, symbols, gaps)

    def pop(self, stack: LatentStack, z: Tensor, gaps: Gaps | None) -> Tensor:
        masses = self._masses(self._likelihood.features(z))
        found = _with_guess(stack.pop_bits(_seen(masses, gaps)), gaps)
        return torch.from_numpy(found).long().reshape(len(z), *self._likelihood.head.event_shape)

    def _masses(self, features: Tensor) -> np.ndarray:
        return self._likelihood.head.mean(features).cpu().numpy().ravel()


class _Levels(CellsGivenLatents):
    """Grey values under logistics: bit by bit, so that no table of all of them is made."""

    def __init__(self, likelihood: NetworkConditional) -> None:
        self._likelihood = likelihood

    def push(self, stack: LatentStack, z: Tensor, symbols: Tensor, gaps: Gaps | None) -> float:
        head = self._likelihood.head
        assert isinstance(head, CellHead)
        _expect_codes(symbols, head.support.num_codes or 0)
        features = self._likelihood.features(z)
        known = _seen(symbols.cpu().numpy().ravel(), gaps)
        push_levels(stack, *self._by_cell(features, gaps), known)
        return _nats(self._likelihood.head, features, symbols, gaps)

    def pop(self, stack: LatentStack, z: Tensor, gaps: Gaps | None) -> Tensor:
        found = pop_levels(stack, *self._by_cell(self._likelihood.features(z), gaps))
        shape = (len(z), *self._likelihood.head.event_shape)
        return torch.from_numpy(_with_guess(found, gaps)).reshape(shape)

    def _by_cell(self, features: Tensor, gaps: Gaps | None) -> tuple[CellHead, Tensor]:
        """The head, and features [P, cells of all rows that are there]."""
        head = self._likelihood.head
        assert isinstance(head, CellHead)
        cells = features.movedim(head.axis, 0).flatten(1)
        return head, cells if gaps is None else cells[:, torch.from_numpy(gaps.seen)]


class _Cells(CellsGivenLatents):
    """Cells of any family with masses, through the coders that autoregressive sites have."""

    def __init__(self, likelihood: NetworkConditional, grids: Grids) -> None:
        self._likelihood = likelihood
        num_cells = int(np.prod(likelihood.head.event_shape, dtype=np.int64))
        sites = site_head(likelihood.head, num_cells)
        self._coders = SiteCoders(sites, grids, likelihood.units)

    def push(self, stack: LatentStack, z: Tensor, symbols: Tensor, gaps: Gaps | None) -> float:
        recorder = Recorder()
        self._code(z, recorder, symbols.reshape(len(symbols), -1, 1).cpu().numpy(), gaps)
        recorder.push_to(stack)
        return recorder.content_nats

    def pop(self, stack: LatentStack, z: Tensor, gaps: Gaps | None) -> Tensor:
        found = torch.from_numpy(self._code(z, Reader(stack), None, gaps))
        return found.reshape(len(z), *self._likelihood.head.event_shape)

    def _code(
        self, z: Tensor, channel: Channel, symbols: np.ndarray | None, gaps: Gaps | None
    ) -> np.ndarray:
        unseen = None if gaps is None else Unseen(*gaps.sites(self._coders.head.num_sites, 1))
        return self._coders.code_all(self._features(z), channel, symbols, unseen)

    def _features(self, z: Tensor) -> Tensor:
        """[rows, cells, P]."""
        head, features = self._likelihood.head, self._likelihood.features(z)
        if isinstance(head, CellHead):
            return features.movedim(head.axis, -1).flatten(1, -2)
        assert isinstance(head, Product)
        sites = self._coders.head
        padded = features.new_zeros(len(z), sites.num_sites, sites.num_features)
        parts = features.split([part.num_features for _, part in head.parts], -1)
        for (columns, cells), part in zip(head.parts, parts, strict=True):
            assert isinstance(cells, CellHead)  # `site_head` saw to it
            own = part.unflatten(-1, cells.feature_shape).movedim(-2, -1)
            padded[:, list(columns), : cells.num_parameters] = own
        return padded


class _Sites(CellsGivenLatents):
    """Sites of an autoregressive decoder, along its `step`."""

    def __init__(self, likelihood: AutoregressiveLikelihood, grids: Grids) -> None:
        self._likelihood = likelihood
        model = likelihood.model
        self._coders = SiteCoders(model.head, grids, model.units)

    def push(self, stack: LatentStack, z: Tensor, symbols: Tensor, gaps: Gaps | None) -> float:
        recorder = Recorder()
        self._code(z, recorder, symbols, gaps)
        recorder.push_to(stack)
        return recorder.content_nats

    def pop(self, stack: LatentStack, z: Tensor, gaps: Gaps | None) -> Tensor:
        return self._code(z, Reader(stack), None, gaps)

    def _code(
        self, z: Tensor, channel: Channel, symbols: Tensor | None, gaps: Gaps | None
    ) -> Tensor:
        model, given = self._likelihood.model, self._likelihood.given(z)
        return code_rows(model, self._coders, channel, len(z), symbols, given, gaps=gaps)


def _expect_codes(symbols: Tensor, number: int) -> None:
    if int(symbols.min()) < 0 or int(symbols.max()) >= number:
        raise DataError(
            f"expected whole numbers from 0 to {number - 1}, as in the data that the model was "
            f"fitted to, got {int(symbols.min())} to {int(symbols.max())}"
        )


def _nats(head: Head, features: Tensor, symbols: Tensor, gaps: Gaps | None) -> float:
    observed = None if gaps is None else gaps.observed.to(features.device)
    return -float(head.log_prob(features, symbols.to(features), observed).double().sum())


def _seen(values: np.ndarray, gaps: Gaps | None) -> np.ndarray:
    """Those of cells that are there, of [cells of all rows]."""
    return values if gaps is None else values[gaps.seen]


def _with_guess(found: np.ndarray, gaps: Gaps | None) -> np.ndarray:
    """Undo `_seen`."""
    if gaps is None:
        return found
    filled = gaps.filled.numpy().ravel().copy()
    filled[gaps.seen] = found
    return filled


def _is_ordered(head: Head) -> bool:
    cell = head.component if isinstance(head, SiteMixture) else head
    return isinstance(cell, DiscretizedLogistic)


def _refusal(name: str) -> IncompatibleChoices:
    return IncompatibleChoices(
        f"bits-back codes one cell after the other given z, and {name} describes a row as a whole",
        hint="fit with a likelihood of separate cells",
    )
