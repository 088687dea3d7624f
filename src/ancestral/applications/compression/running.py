"""`RunningCodec`: one long sequence, such as a text, cut into a few lanes side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.applications.compression.batched import refuse_left_over
from ancestral.applications.compression.channels import Channel, Reader, Recorder
from ancestral.applications.compression.codec import CodingOptions, Encoded, Progress
from ancestral.applications.compression.entropy import WordStack
from ancestral.applications.compression.gaps import Gaps
from ancestral.applications.compression.grids import Grids
from ancestral.applications.compression.sites import SiteCoders
from ancestral.models import AutoregressiveModel
from ancestral.models.autoregressive import check_running
from ancestral.models.autoregressive.decoding import refuse_training, step_threads
from ancestral.networks.causal import CausalNetwork, DilatedConvolutional, RecurrentCausal

__all__ = ["RunningCodec", "sensible_lanes", "takes_running"]

_LANE = 4096  # symbols of a lane, by default: next to them, a beginning without context is little
_MOST_LANES = 64


class RunningCodec:
    """A sequence of any length, each symbol given those before it in its lane.

    A network computes many lanes at once for little more than one; but each begins knowing
    nothing, so there are few of them, and long ones. Recurrent networks keep their state along
    the whole lane, and dilated convolutions are without end; others go in windows of T symbols
    that share half with the one before, as in `log_prob_running`.

    Args:
        model: of windows of T codes, in the order of storage; in evaluation mode.
        options: of which `batch_size` is the number of lanes.
    """

    def __init__(self, model: AutoregressiveModel, options: CodingOptions) -> None:
        check_running(model)
        refuse_training(model.network)
        self._model = model
        self._options = options
        self._coders = SiteCoders(model.head, Grids())

    def encode(
        self,
        symbols: Tensor,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Encoded:
        """The sequence as words.

        Args:
            symbols: [N] int64.
            context: None.
            progress: is told of symbols that are done.
            gaps: None.
        """
        del context, gaps
        recorder, stack = Recorder(), WordStack()
        self._code(recorder, len(symbols), symbols.cpu().numpy(), progress)
        recorder.push_to(stack)
        return Encoded(stack.words, recorder.content_nats, recorder.coded_nats)

    def decode(
        self,
        words: np.ndarray,
        num_rows: int,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Tensor:
        """The sequence, [N] int64, for N = num_rows."""
        del context, gaps
        stack = WordStack(words)
        found = self._code(Reader(stack), num_rows, None, progress)
        refuse_left_over(stack)
        return torch.from_numpy(found)

    @torch.no_grad()
    def _code(
        self, channel: Channel, number: int, symbols: np.ndarray | None, progress: Progress | None
    ) -> np.ndarray:
        if number == 0:
            return np.zeros(0, dtype=np.int64)
        lanes = min(self._options.batch_size, number)
        length = math.ceil(number / lanes)
        found = np.zeros((lanes, length), dtype=np.int64)
        if symbols is not None:
            found.ravel()[:number] = symbols
        features_at = _along(self._model.network, lanes, length)
        with step_threads(self._model.network, lanes):
            for place in range(length):
                # the last lane may end before the others do; a network computes it all the same,
                # so that batches are always of the same rows
                active = _active(lanes, length, number, place)
                features = features_at(place, found)
                known = None if symbols is None else found[:active, place : place + 1]
                own = features[:active].to(self._model.network.dtype)
                found[:active, place] = self._coders.code(0, own, channel, known)[:, 0]
                if progress is not None:
                    progress(active)
        return found.ravel()[:number]


def takes_running(model: nn.Module) -> bool:
    """Whether a model's rows are windows of a sequence, one code after the other."""
    if not isinstance(model, AutoregressiveModel):
        return False
    network = model.network
    one_code = network.width == 1 and model.head.site(0).num_codes is not None
    return one_code and network.is_raster and network.context_size == 0


def sensible_lanes(number: int) -> int:
    """How many lanes a sequence of so many symbols is cut into, by default.

    Example:
        >>> sensible_lanes(1000), sensible_lanes(111_540), sensible_lanes(10_000_000)
        (1, 27, 64)
    """
    return min(max(1, round(number / _LANE)), _MOST_LANES)


def _active(lanes: int, length: int, number: int, place: int) -> int:
    """Lanes that have a symbol at a place: all but the last ones, which may be shorter."""
    return min(lanes, max(0, math.ceil((number - place) / length)))


def _along(network: CausalNetwork, lanes: int, length: int) -> Callable[[int, np.ndarray], Tensor]:
    """Features [lanes, P] of each place in turn, given all places, of which those before count."""
    own = _endless(network, length)
    if own is not None:
        return _Endless(*own, lanes)
    return _Windows(network, lanes)


class _Endless:
    """One state along the whole lane."""

    def __init__(self, network: CausalNetwork, site: Callable[[int], int], lanes: int) -> None:
        self._network = network
        self._site = site
        self._state: Any = network.init_state(lanes)

    def __call__(self, place: int, found: np.ndarray) -> Tensor:
        prev = None
        if place:
            prev = _column(self._network, found, place - 1)
        features, self._state = self._network.step(self._state, self._site(place), prev)
        return features


class _Windows:
    """Windows of T symbols, each with the last half of the one before as its beginning."""

    def __init__(self, network: CausalNetwork, lanes: int) -> None:
        self._network = network
        self._lanes = lanes
        self._start = 0
        self._state: Any = network.init_state(lanes)

    def __call__(self, place: int, found: np.ndarray) -> Tensor:
        network, size = self._network, self._network.num_sites
        if place == self._start + size:
            self._start = place - size // 2
            self._state = network.init_state(self._lanes)
            for t in range(size // 2):
                self._step(t, found)
        return self._step(place - self._start, found)

    def _step(self, t: int, found: np.ndarray) -> Tensor:
        prev = None
        if t:
            prev = _column(self._network, found, self._start + t - 1)
        features, self._state = self._network.step(self._state, t, prev)
        return features


def _endless(
    network: CausalNetwork, length: int
) -> tuple[CausalNetwork, Callable[[int], int]] | None:
    """The network and the number of the step at each place, if it needs no windows."""
    if isinstance(network, RecurrentCausal) and network.position is None:
        # beyond the first, all sites are alike
        return network, lambda place: min(place, 1)
    if isinstance(network, DilatedConvolutional):
        return network.with_length(length), lambda place: place
    return None


def _column(network: CausalNetwork, found: np.ndarray, place: int) -> Tensor:
    column = torch.from_numpy(found[:, place : place + 1].copy())
    return column.to(network.device, network.dtype)
