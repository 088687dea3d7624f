"""`SiteEmbedding`: a learned vector for the value of a site."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.networks.causal.encodings import OneHot, SiteEncoding

__all__ = ["SiteEmbedding", "one_hot_codes"]


class SiteEmbedding(nn.Module):
    """A linear map of a site's encoding; for codes, a row of a table for each.

    Args:
        encoding: of the values, E numbers for each site.
        size: D, of a vector.

    Example:
        >>> embedding = SiteEmbedding(OneHot(65), 16)
        >>> embedding(torch.zeros(2, 7, 1)).shape
        torch.Size([2, 7, 16])
    """

    def __init__(self, encoding: SiteEncoding, size: int) -> None:
        super().__init__()
        self.encoding = encoding
        self.size = size
        # of each vector about 1 in length squared by D, as torch's embeddings are
        self.weight = nn.Parameter(torch.randn(encoding.size, size))

    def forward(self, x: Tensor) -> Tensor:
        """All sites: [..., T, W] -> [..., T, D]."""
        codes = one_hot_codes(self.encoding, x)
        if codes is None:
            return self.encoding(x) @ self.weight
        return F.embedding(codes, self.weight).sum(-2)

    @property
    def picks_one_row(self) -> bool:
        """Whether the vector of a site is one row of the table, as that of a single code is."""
        encoding = self.encoding
        return isinstance(encoding, OneHot) and encoding.size == encoding.num_levels

    def at(self, value: Tensor, site: int, table: Tensor | None = None) -> Tensor:
        """One site: [batch, W] -> [batch, D].

        Args:
            value: of the site.
            site: its number.
            table: [E, any]: what stands for the vectors, such as their products with the
                weights of the next layer; the vectors themselves if None.
        """
        table = self.weight if table is None else table
        codes = one_hot_codes(self.encoding, value)
        if codes is None:
            # as precise as the table, inside an autocast too
            return (self.encoding.at(value, site).to(table.dtype) @ table).to(table.dtype)
        if codes.shape[-1] == 1:
            return table.index_select(0, codes.squeeze(-1))
        return F.embedding(codes, table).sum(-2)


def one_hot_codes(encoding: SiteEncoding, x: Tensor) -> Tensor | None:
    """[..., W] -> the rows of a table that a one-hot encoding picks; None for other encodings."""
    if not isinstance(encoding, OneHot):
        return None
    codes = x.long().clamp(0, encoding.num_levels - 1)
    if codes.shape[-1] == 1:
        return codes
    return codes + encoding.num_levels * torch.arange(codes.shape[-1], device=x.device)
