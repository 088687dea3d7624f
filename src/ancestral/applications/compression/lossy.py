"""`LossyCodec`: a message of z alone; what comes back is what the model makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.applications.compression.codec import CodingOptions, Progress
from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.grids import Floats, Fractions, Grid, Grids, Whole
from ancestral.applications.compression.latent_coders import Factor, Stacked, columns_of
from ancestral.applications.compression.latent_grid import LatentGrid
from ancestral.applications.compression.latent_spaces import LatentSpace, latent_space
from ancestral.applications.compression.latent_stack import LatentStack
from ancestral.core import Batch, IncompatibleChoices, Kind, Specification, derived_seed, seeded
from ancestral.distributions import HeadDistribution
from ancestral.inference.posteriors import Posterior
from ancestral.models import LatentVariableModel

__all__ = ["LossyCodec", "LossyMessage"]

_ROWS_FOR_A_GRID = 256
_DRAWS = 16  # of z for each row, by which the divergence is estimated
_STREAM = 29  # of derived seeds


@dataclass(frozen=True)
class LossyMessage:
    """A message, and what comes back of the rows.

    Attributes:
        words: [number] uint32.
        symbols: [rows, *shape] int64, which the receiver will have.
        kl_nats: KL(q(z | x) || p(z)) of all rows together, estimated from draws: what no message
            of a draw of z can fall short of in the mean.
        squared_error: mean over the cells of the squared error, in the data's units; a category
            that came back as another counts 1.
        distortion_nats: -log p(x | z) of all rows at the z that were sent. Not a likelihood of x:
            z was chosen knowing x.
    """

    words: np.ndarray
    symbols: Tensor
    kl_nats: float
    squared_error: float
    distortion_nats: float

    @property
    def kl_bits(self) -> float:
        """`kl_nats` in bits."""
        return self.kl_nats / math.log(2)


class LossyCodec:
    r"""Alice keeps x, and sends Bob z; he looks at p(x | z).

    z is the mean of q(z | x), each variable rounded to a step :math:`\sqrt{12}` times as wide as
    q usually is there, which makes an error of q's own variance; then coded by p(z). So the
    receiver has a z as good as a draw from q, at a rate of about KL(q || p), and a quarter of a
    bit more for each variable that says something. Binary variables take their likelier value.
    Layers go from the first that is inferred to the last, each given what those before were
    rounded to.

    What comes back is E[x | z], rounded to what cells can be.

    Bits-back would not help: its bits come back to those who know x, and nobody will.

    Args:
        model: p, in evaluation mode.
        posterior: q, in evaluation mode.
        spec: what a row is.
        grids: of cells that are no codes.
        options: what else decides on the words.

    References:
        | Fixing a Broken ELBO (Alemi et al., 2018), section 3: rate and distortion of a model
        | https://arxiv.org/abs/1711.00464
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
            raise IncompatibleChoices(
                "a lossy message does not take models that are given classes"
            )
        self._model, self._posterior = model, posterior
        self._spec, self._grids, self._options = spec, grids, options
        self._space: LatentSpace = latent_space(model, posterior, options.seed)
        weight = next(model.parameters())
        self._like = torch.zeros((), dtype=weight.dtype, device=weight.device)

    @torch.no_grad()
    def encode(self, symbols: Tensor, progress: Progress | None = None) -> LossyMessage:
        """Rows [rows, *shape] int64 as a message."""
        stack = LatentStack()
        if len(symbols) == 0:
            return LossyMessage(stack.words, symbols, 0.0, 0.0, 0.0)
        every = max(1, len(symbols) // _ROWS_FOR_A_GRID)
        some = self._batch(symbols[::every][:_ROWS_FOR_A_GRID])
        grid = LatentGrid.coarse(*self._space.moments(some))
        received, kl, distortion = [], 0.0, 0.0
        for at in range(0, len(symbols), self._options.batch_size):
            rows = symbols[at : at + self._options.batch_size]
            batch = self._batch(rows)
            u = self._rounded(batch, grid)
            self._prior(grid).push(stack, u)
            z = self._space.to_model(u)
            received.append(self._decoded(z))
            kl += self._divergence(batch)
            distortion -= float(self._model.log_likelihood(batch.x, z).double().sum())
            if progress is not None:
                progress(len(rows))
        grid.push(stack)
        back = torch.cat(received)
        return LossyMessage(stack.words, back, kl, self._error(symbols, back), distortion)

    @torch.no_grad()
    def decode(
        self,
        words: np.ndarray,
        num_rows: int,
        context: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """What comes back, [rows, *shape] int64; arguments as of `Codec.decode`.

        Raises:
            CorruptWords: words are left.
        """
        del context
        if num_rows == 0:
            return torch.zeros(0, *self._spec.shape, dtype=torch.int64)
        stack = LatentStack(words)
        grid = LatentGrid.pop(stack, columns_of(self._space.prior()))
        size = self._options.batch_size
        parts = []
        for at in reversed(range(0, num_rows, size)):
            count = min(size, num_rows - at)
            u = self._prior(grid).pop(stack, count)
            parts.append(self._decoded(self._space.to_model(u)))
            if progress is not None:
                progress(count)
        if not stack.is_empty:
            raise CorruptWords("expected a message that ends with the last row, got more")
        return torch.cat(parts[::-1])

    def _rounded(self, batch: Batch, grid: LatentGrid) -> Tensor:
        """The mean of q, factor by factor, on the grid."""
        u = self._like.new_zeros(len(batch), grid.size)
        for factor in self._space.inferred(batch).factors:
            centre = _centre(factor, u).expand(len(batch), -1)
            numbers = centre.double().cpu().numpy() / grid.steps(factor.columns)
            bound = float(grid.bound)
            grid.place(np.rint(np.clip(numbers, -bound, bound)), u, factor.columns)
        return u

    def _prior(self, grid: LatentGrid) -> Stacked:
        return Stacked(self._space.prior(), grid, self._like, narrow=False)

    def _batch(self, rows: Tensor) -> Batch:
        return Batch(self._grids.numbers(rows).to(self._like).clone())

    def _decoded(self, z: Tensor) -> Tensor:
        """E[x | z] as symbols, [rows, *shape] int64."""
        shown = self._model.reconstruct(z).double().cpu().numpy()
        flat = shown.reshape(len(shown), -1)
        codes = [self._nearest(flat[:, cell], cell) for cell in range(flat.shape[1])]
        return torch.from_numpy(np.stack(codes, 1)).reshape(len(z), *self._spec.shape)

    def _nearest(self, values: np.ndarray, cell: int) -> np.ndarray:
        grid = self._grids.of(cell)
        if grid is not None:
            return _symbols_near(grid, values)
        _, num_levels = self._kind(cell)
        return np.clip(np.rint(values), 0, (num_levels or 2) - 1).astype(np.int64)

    def _kind(self, cell: int) -> tuple[Kind | None, int | None]:
        if self._spec.columns is None:
            return self._spec.kind, self._spec.num_levels
        return self._spec.columns[cell].kind, self._spec.columns[cell].num_levels

    def _divergence(self, batch: Batch) -> float:
        """KL(q || p) of the rows together, from draws."""
        with seeded(derived_seed(self._options.seed, _STREAM)):
            posterior = self._posterior.adapted(self._model, batch)
            drawn = posterior.draw(self._model, batch, _DRAWS)
            ratio = drawn.log_q - self._model.log_prior(drawn.z)
        return float(ratio.mean(0).double().sum())

    def _error(self, symbols: Tensor, received: Tensor) -> float:
        sent, back = (self._grids.numbers(s).reshape(len(s), -1) for s in (symbols, received))
        errors = (sent - back).square()
        unordered = [self._kind(c)[0] is Kind.CATEGORICAL for c in range(errors.shape[1])]
        errors[:, unordered] = (errors[:, unordered] > 0).double()
        return float(errors.mean())


def _centre(factor: Factor, u: Tensor) -> Tensor:
    """The mean of a factor, or the likeliest value of discrete variables."""
    given: Distribution = factor.given(u.clone())
    if isinstance(given, HeadDistribution):
        return given.head.representative(given.features).round()
    return given.mean


def _symbols_near(grid: Grid, values: np.ndarray) -> np.ndarray:
    """Symbols of the points of a grid that are next to some values."""
    if isinstance(grid, Floats):
        kind = np.float64 if grid.bits == 64 else np.float32
        found = Floats.symbols_of(np.ascontiguousarray(values, dtype=kind))
    elif isinstance(grid, Fractions):
        found = np.rint(values * grid.denominator)
    else:
        assert isinstance(grid, Whole)
        found = np.floor(values) if grid.dequantized else np.rint(values)
    low, high = float(grid.low), float(grid.high)
    inside = np.clip(np.nan_to_num(found), low, high) if found.dtype.kind == "f" else found
    return np.clip(inside.astype(np.int64), grid.low, grid.high)
