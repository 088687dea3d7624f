"""`GaussianCodec`: probabilistic PCA, whose conditionals are known, so that no bits go back."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ancestral.applications.compression.batched import BatchedCodec
from ancestral.applications.compression.cells import cell_coder
from ancestral.applications.compression.channels import Channel
from ancestral.applications.compression.codec import CodingOptions, Progress
from ancestral.applications.compression.gaps import Gaps
from ancestral.applications.compression.grids import Grids
from ancestral.distributions import CellSite, Normal
from ancestral.models import ProbabilisticPCA

__all__ = ["GaussianCodec"]


class GaussianCodec(BatchedCodec):
    r"""x_d given the cells before it is Gaussian, with moments in closed form.

    Given x_1 .. x_(d-1) the code z is N(mu, S). Then

    .. math:: x_d \sim N(w_d \mu + m_d, \; v_d), \quad v_d = w_d S w_d' + s^2, \\
        \mu \leftarrow \mu + k_d (x_d - w_d \mu - m_d), \quad k_d = S w_d' / v_d, \quad
        S \leftarrow S - k_d k_d' v_d

    The variances and the gains k_d are the same for all rows, so a cell costs one product of
    [rows, L]. The sum of the terms is log p(x), exactly. A cell that is missing changes nothing:
    where some are, every row has variances of its own, at [rows, L, L] a cell.

    Args:
        model: fitted.
        grids: of the cells.
        options: what else decides on the words.

    References:
        | Probabilistic Principal Component Analysis (Tipping & Bishop, 1999), equation 6, applied
        | to one cell after the other
    """

    def __init__(self, model: ProbabilisticPCA, grids: Grids, options: CodingOptions) -> None:
        super().__init__(options)
        self._shape = model.shape
        self._grids = grids
        # on the CPU in double precision, whatever the model's: it is small
        self._weight = model.weight.detach().cpu().double()
        self._loc = model.loc.detach().cpu().double()
        self._noise = float(model.noise_scale.detach())
        self._scales, self._gains = _filter(self._weight, self._noise)
        site = CellSite(Normal((1,), min_log_scale=-math.inf))
        self._coders = [cell_coder(site, grids.of(d)) for d in range(len(self._loc))]

    @torch.no_grad()
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
        del context
        if gaps is not None and not bool(gaps.observed.all()):
            return self._exchange_in_part(channel, symbols, gaps, progress)
        given = None if symbols is None else symbols.flatten(1).cpu().numpy()
        num_cells = len(self._loc)
        found = np.zeros((num_rows, num_cells), dtype=np.int64)
        mean = self._loc.new_zeros(num_rows, self._weight.shape[1])
        for d, coder in enumerate(self._coders):
            centre = mean @ self._weight[d] + self._loc[d]
            features = torch.stack((centre, self._scales[d].log().expand(num_rows)), -1)
            known = None if given is None else np.ascontiguousarray(given[:, d])
            found[:, d] = coder.code(features, features[:, :0], channel, known)
            grid = self._grids.of(d)
            assert grid is not None
            number = torch.from_numpy(grid.number(found[:, d]))
            mean = mean + (number - centre).unsqueeze(-1) * self._gains[d]
            if progress is not None:
                progress(num_rows / num_cells)
        return torch.from_numpy(found).reshape(num_rows, *self._shape)

    def _exchange_in_part(
        self, channel: Channel, symbols: Tensor | None, gaps: Gaps, progress: Progress | None
    ) -> Tensor:
        """The cells that are there: S differs from row to row."""
        seen, found = gaps.observed.flatten(1).numpy(), gaps.filled.flatten(1).numpy().copy()
        given = None if symbols is None else symbols.flatten(1).cpu().numpy()
        num_rows, size = len(found), self._weight.shape[1]
        mean = self._loc.new_zeros(num_rows, size)
        covariance = torch.eye(size, dtype=mean.dtype).repeat(num_rows, 1, 1)
        for d, coder in enumerate(self._coders):
            rows = np.flatnonzero(seen[:, d])
            if len(rows):
                own = torch.from_numpy(rows)
                spread = covariance[own] @ self._weight[d]
                variance = spread @ self._weight[d] + self._noise**2
                centre = mean[own] @ self._weight[d] + self._loc[d]
                features = torch.stack((centre, 0.5 * variance.log()), -1)
                known = None if given is None else given[rows, d]
                found[rows, d] = coder.code(features, features[:, :0], channel, known)
                grid = self._grids.of(d)
                assert grid is not None
                number = torch.from_numpy(grid.number(found[rows, d]))
                gain = spread / variance.unsqueeze(-1)
                mean[own] += (number - centre).unsqueeze(-1) * gain
                covariance[own] -= gain.unsqueeze(-1) * spread.unsqueeze(-2)
            if progress is not None:
                progress(num_rows / len(self._coders))
        return torch.from_numpy(found).reshape(num_rows, *self._shape)


def _filter(weight: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """Standard deviation of each cell given those before, [D], and gains [D, L]."""
    covariance = torch.eye(weight.shape[1], dtype=weight.dtype)
    scales, gains = [], []
    for row in weight:
        spread = covariance @ row
        variance = row @ spread + noise**2
        gain = spread / variance
        covariance = covariance - torch.outer(gain, spread)
        scales.append(variance.sqrt())
        gains.append(gain)
    return torch.stack(scales), torch.stack(gains)
