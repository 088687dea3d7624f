"""`LossyCodec`: a message of z alone; what comes back is what the model makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.applications.compression.codec import CodingOptions, Progress
from ancestral.applications.compression.entropy import CorruptWords
from ancestral.applications.compression.gaps import Gaps, batch_of
from ancestral.applications.compression.grids import Grids
from ancestral.applications.compression.latent_coders import cells_of, continuous_columns
from ancestral.applications.compression.latent_grid import LatentGrid, spread_rows
from ancestral.applications.compression.latent_spaces import LatentSpace, latent_space
from ancestral.applications.compression.latent_stack import LatentStack
from ancestral.applications.compression.lossy_bits import (
    THRESHOLDS,
    AdaptiveBits,
    chances_of,
    is_binary,
    worth_telling,
)
from ancestral.applications.compression.lossy_values import symbols_near
from ancestral.core import (
    Batch,
    Draws,
    IncompatibleChoices,
    Kind,
    Specification,
    derived_seed,
    seeded,
)
from ancestral.distributions import HeadDistribution
from ancestral.inference.posteriors import Posterior
from ancestral.models import AutoregressiveLikelihood, LatentVariableModel

__all__ = ["LossyCodec", "LossyMessage"]

_ROWS_FOR_A_GRID = 256
_DRAWS = 16  # of z for each row, by which the divergence is estimated
_STREAM = 29  # of derived seeds
_SLACK = 0.05  # nats of log p(x | z) for each of KL(q || p), by which a z is as good as a draw


@dataclass(frozen=True)
class LossyMessage:
    """A message, and what comes back of the rows.

    Attributes:
        words: [number] uint32.
        symbols: [rows, *shape] int64, which the receiver will have; the guess in gaps.
        kl_nats: KL(q(z | x) || p(z)) of all rows together, estimated from draws: what no message
            of a draw of z can fall short of in the mean.
        squared_error: mean over the cells that are there of the squared error, in the data's
            units; a category that came back as another counts 1.
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
    bit more for each variable that says something. Layers go from the first that is inferred to
    the last, each given what those before were rounded to.

    Binary variables have no grid to be coarse on. Sender and receiver share noise, by which both
    draw from the prior; told is where a draw from q by the same noise is another. Where q is
    about p, within a threshold, the prior's draw stays, and nothing is told: the threshold is the
    largest at which -log p(x | z) of some rows is about what it is at draws from q. It takes about
    KL where q is sure of some variables and knows nothing of the others, and many times KL where
    it knows a little of each of hundreds.

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
    def encode(
        self, symbols: Tensor, progress: Progress | None = None, gaps: Gaps | None = None
    ) -> LossyMessage:
        """Rows [rows, *shape] int64 as a message."""
        stack = LatentStack()
        if len(symbols) == 0:
            return LossyMessage(stack.words, symbols, 0.0, 0.0, 0.0)
        some = spread_rows(len(symbols), _ROWS_FOR_A_GRID)
        sample = self._batch(symbols[some], gaps, some)
        grid = LatentGrid.coarse(*self._space.moments(sample))
        threshold = self._threshold(sample, grid)
        adaptive, pushes, noise = self._adaptive(), [], self._noise()
        received, kl, distortion = [], 0.0, 0.0
        for at in range(0, len(symbols), self._options.batch_size):
            part = slice(at, min(at + self._options.batch_size, len(symbols)))
            batch = self._batch(symbols[part], gaps, part)
            inferred = self._rounded(batch, grid, noise.random((len(batch), grid.size)))
            u, own = self._message(inferred, grid, threshold, adaptive)
            pushes += own
            z = self._space.to_model(u)
            received.append(self._decoded(z))
            kl += self._divergence(batch)
            distortion -= float(self._log_likelihood(batch, z).double().sum())
            if progress is not None:
                progress(len(u))
        # the last first, so that a reader meets rows in their order, and learns as was learnt here
        for push in reversed(pushes):
            push(stack)
        grid.push(stack, self._continuous)
        back, seen = torch.cat(received), None
        if gaps is not None:
            back, seen = torch.where(gaps.observed, back, gaps.guess), gaps.observed
        return LossyMessage(stack.words, back, kl, self._error(symbols, back, seen), distortion)

    @torch.no_grad()
    def decode(
        self,
        words: np.ndarray,
        num_rows: int,
        context: Tensor | None = None,
        progress: Progress | None = None,
        gaps: Gaps | None = None,
    ) -> Tensor:
        """What comes back, [rows, *shape] int64; arguments as of `Codec.decode`.

        Raises:
            CorruptWords: words are left.
        """
        del context
        if num_rows == 0:
            return torch.zeros(0, *self._spec.shape, dtype=torch.int64)
        stack = LatentStack(words)
        grid = LatentGrid.pop(stack, self._continuous)
        size, adaptive, noise = self._options.batch_size, self._adaptive(), self._noise()
        parts = []
        for at in range(0, num_rows, size):
            count = min(size, num_rows - at)
            u = self._read(stack, grid, noise.random((count, grid.size)), adaptive)
            parts.append(self._decoded(self._space.to_model(u)))
            if progress is not None:
                progress(count)
        if not stack.is_empty:
            raise CorruptWords("expected a message that ends with the last row, got more")
        found = torch.cat(parts)
        return found if gaps is None else torch.where(gaps.observed, found, gaps.guess)

    def _message(
        self, inferred: _Rounded, grid: LatentGrid, threshold: float, adaptive: list[AdaptiveBits]
    ) -> tuple[Tensor, list[Callable[[LatentStack], None]]]:
        """The u that is sent for a batch, and what puts it on a stack, in a reader's order."""
        u, pushes = torch.zeros_like(inferred.u), []
        for factor, learnt in zip(self._space.prior(), adaptive, strict=True):
            given = factor.given(u.clone())
            if is_binary(given):
                p = chances_of(given, len(u)).double().cpu().numpy()
                q = inferred.chances[:, factor.columns].double().cpu().numpy()
                values, untold = worth_telling(inferred.noise[:, factor.columns], p, q, threshold)
                u[:, factor.columns] = torch.from_numpy(values).to(u)
                bits = values != untold
                masses = learnt.record(bits, np.where(untold, 1.0 - p, p))
                pushes.append(partial(_push_bits, bits=bits.ravel(), masses=masses.ravel()))
                continue
            u[:, factor.columns] = inferred.u[:, factor.columns]
            cells = cells_of(given, grid, factor.columns, len(u), narrow=False)
            pushes.append(partial(cells.push, z=u))
        return u, pushes

    def _read(
        self, stack: LatentStack, grid: LatentGrid, noise: np.ndarray, adaptive: list[AdaptiveBits]
    ) -> Tensor:
        """The u of a batch, from a stack."""
        num_rows = len(noise)
        u = self._like.new_zeros(num_rows, grid.size)
        for factor, learnt in zip(self._space.prior(), adaptive, strict=True):
            given = factor.given(u.clone())
            if is_binary(given):
                p = chances_of(given, num_rows).double().cpu().numpy()
                untold = noise[:, factor.columns] < p
                found = untold ^ learnt.pop(stack, np.where(untold, 1.0 - p, p))
                u[:, factor.columns] = torch.from_numpy(found).to(u)
                continue
            cells_of(given, grid, factor.columns, num_rows, narrow=False).pop(stack, u)
        return u

    def _threshold(self, sample: Batch, grid: LatentGrid) -> float:
        """The largest at which z is as good as a draw from q, to reconstruct some rows from."""
        if self._continuous.all():
            return THRESHOLDS[0]
        drawn = self._drawn(sample)
        kl = float((drawn.log_q - self._model.log_prior(drawn.z)).double().mean())
        likely = float(self._log_likelihood(sample, drawn.z).double().mean())
        noise = self._noise().random((len(sample), grid.size))
        inferred = self._rounded(sample, grid, noise)
        for threshold in THRESHOLDS:
            u, _ = self._message(inferred, grid, threshold, self._adaptive())
            found = self._log_likelihood(sample, self._space.to_model(u))
            if float(found.double().mean()) >= likely - _SLACK * kl:
                return threshold
        return THRESHOLDS[-1]  # draws from q, which happen to be worse than the others were

    def _noise(self) -> np.random.Generator:
        """What sender and receiver share."""
        return np.random.Generator(np.random.PCG64(self._options.seed))

    def _adaptive(self) -> list[AdaptiveBits]:
        sizes = [f.columns.stop - f.columns.start for f in self._space.prior()]
        return [AdaptiveBits(size) for size in sizes]

    def _rounded(self, batch: Batch, grid: LatentGrid, noise: np.ndarray) -> _Rounded:
        """The mean of q, factor by factor, on the grid; of binary variables a draw."""
        u = self._like.new_zeros(len(batch), grid.size)
        chances = torch.zeros_like(u)
        for factor in self._space.inferred(batch).factors:
            given = factor.given(u.clone())
            if is_binary(given):
                chances[:, factor.columns] = q = chances_of(given, len(u))
                drawn = noise[:, factor.columns] < q.double().cpu().numpy()
                u[:, factor.columns] = torch.from_numpy(drawn).to(u)
                continue
            centre = _centre(given).expand(len(batch), -1)
            numbers = centre.double().cpu().numpy() / grid.steps(factor.columns)
            bound = float(grid.bound)
            grid.place(np.rint(np.clip(numbers, -bound, bound)), u, factor.columns)
        return _Rounded(u, chances, noise)

    @cached_property
    def _continuous(self) -> np.ndarray:
        return continuous_columns(self._space.prior(), self._like)

    def _batch(self, rows: Tensor, gaps: Gaps | None, part: slice) -> Batch:
        x = self._grids.numbers(rows).to(self._like).clone()
        # what comes after others cannot be scored without these: the guess stands for them
        in_order = isinstance(self._model.likelihood, AutoregressiveLikelihood)
        return batch_of(x, None if gaps is None or in_order else gaps.rows(part))

    def _log_likelihood(self, batch: Batch, z: Tensor) -> Tensor:
        return self._model.log_likelihood(batch.x, z, batch.observed)

    def _decoded(self, z: Tensor) -> Tensor:
        """E[x | z] as symbols, [rows, *shape] int64."""
        shown = self._model.reconstruct(z).double().cpu().numpy()
        flat = shown.reshape(len(shown), -1)
        codes = [self._nearest(flat[:, cell], cell) for cell in range(flat.shape[1])]
        return torch.from_numpy(np.stack(codes, 1)).reshape(len(z), *self._spec.shape)

    def _nearest(self, values: np.ndarray, cell: int) -> np.ndarray:
        grid = self._grids.of(cell)
        if grid is not None:
            return symbols_near(grid, values)
        _, num_levels = self._kind(cell)
        return np.clip(np.rint(values), 0, (num_levels or 2) - 1).astype(np.int64)

    def _kind(self, cell: int) -> tuple[Kind | None, int | None]:
        if self._spec.columns is None:
            return self._spec.kind, self._spec.num_levels
        return self._spec.columns[cell].kind, self._spec.columns[cell].num_levels

    def _divergence(self, batch: Batch) -> float:
        """KL(q || p) of the rows together, from draws."""
        drawn = self._drawn(batch)
        ratio = drawn.log_q - self._model.log_prior(drawn.z)
        return float(ratio.mean(0).double().sum())

    def _drawn(self, batch: Batch) -> Draws:
        with seeded(derived_seed(self._options.seed, _STREAM)):
            posterior = self._posterior.adapted(self._model, batch)
            return posterior.draw(self._model, batch, _DRAWS)

    def _error(self, symbols: Tensor, received: Tensor, observed: Tensor | None) -> float:
        sent, back = (self._grids.numbers(s).reshape(len(s), -1) for s in (symbols, received))
        errors = (sent - back).square()
        unordered = [self._kind(c)[0] is Kind.CATEGORICAL for c in range(errors.shape[1])]
        errors[:, unordered] = (errors[:, unordered] > 0).double()
        if observed is not None:
            errors = errors[observed.flatten(1)]
        return float(errors.mean()) if errors.numel() else 0.0


@dataclass(frozen=True)
class _Rounded:
    """The mean of q on the grid, P(1) of binary variables, and the noise; [rows, L] all."""

    u: Tensor
    chances: Tensor
    noise: np.ndarray


def _push_bits(stack: LatentStack, bits: np.ndarray, masses: np.ndarray) -> None:
    stack.push_bits(bits, masses)


def _centre(given: Distribution) -> Tensor:
    """The mean of a factor, or the likeliest value of discrete variables."""
    if isinstance(given, HeadDistribution):
        return given.head.representative(given.features).round()
    return given.mean
