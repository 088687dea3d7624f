"""A transformer over the sites: what is known so far is attended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.core.errors import OptionError
from ancestral.core.pytrees import Shared
from ancestral.networks.causal.embedding import SiteEmbedding
from ancestral.networks.causal.encodings import SiteEncoding
from ancestral.networks.causal.network import CausalNetwork, check_context
from ancestral.networks.causal.ordering import SiteRoles, as_stored, in_order

__all__ = ["CausalTransformer"]

_BASE = 10_000.0  # of the slowest rotation, in sites (Su et al., 2021)
_SCALE = 0.02  # of first weights (Radford et al., 2019, section 2.3)


class CausalTransformer(CausalNetwork):
    r"""Pre-norm transformer with rotary positions and gated hidden layers.

    .. math:: h \leftarrow h + A(N(h)), \quad h \leftarrow h + W_2 (\mathrm{silu}(W_1 N(h)) \odot
              W_3 N(h)), \quad N = \text{RMSNorm}

    Site t attends to the sites before it: its input is the value of the site before. A step
    attends to kept keys and values, so that it costs a T-th of a pass. A context c adds
    U c to every input, the first included.

    Args:
        num_sites: T.
        num_features: P.
        encoding: of the values.
        hidden_size: of the residual stream; a multiple of 2 num_heads.
        num_layers: blocks.
        num_heads: of attention.
        dropout: of what blocks add, and of attention, while training.
        roles: whether sites differ in more than what came before them.
        context_size: of the context; 0 for none.
        order: site of each step; None: as stored.
        width: W.

    References:
        | Attention Is All You Need (Vaswani et al., 2017), section 3
        | On Layer Normalization in the Transformer Architecture (Xiong et al., 2020), section 3
        | RoFormer (Su et al., 2021), equation 34; GLU Variants (Shazeer, 2020), equation 6
        | Root Mean Square Layer Normalization (Zhang & Sennrich, 2019), equation 4

    Example:
        >>> from ancestral.networks.causal import OneHot
        >>> network = CausalTransformer(12, 65, OneHot(65), hidden_size=16, num_heads=2)
        >>> network(torch.zeros(3, 12, 1)).shape
        torch.Size([3, 12, 65])
    """

    cosine: Tensor
    sine: Tensor

    def __init__(
        self,
        num_sites: int,
        num_features: int,
        encoding: SiteEncoding,
        *,
        hidden_size: int = 256,
        num_layers: int = 4,
        num_heads: int = 4,
        dropout: float = 0.0,
        roles: SiteRoles = SiteRoles.SAME,
        context_size: int = 0,
        order: Sequence[int] | Tensor | None = None,
        width: int = 1,
    ) -> None:
        super().__init__(
            num_sites, num_features, width=width, context_size=context_size, order=order
        )
        if num_layers < 1 or num_heads < 1 or hidden_size < 2:
            raise OptionError(
                "expected num_layers, num_heads and hidden_size of at least 1, 1 and 2, got "
                f"{num_layers}, {num_heads} and {hidden_size}"
            )
        if hidden_size % (2 * num_heads):
            raise OptionError(
                f"expected hidden_size to be a multiple of 2 num_heads, got {hidden_size} "
                f"and {num_heads} heads",
                hint="an even share of it belongs to each head",
            )
        if not 0 <= dropout < 1:
            raise OptionError(f"expected dropout in [0, 1), got {dropout}")
        self.roles = SiteRoles(roles)
        self.embedding = SiteEmbedding(encoding, hidden_size)
        self.start = nn.Parameter(_SCALE * torch.randn(hidden_size))
        self.blocks = nn.ModuleList(
            _Block(hidden_size, num_heads, num_layers, dropout) for _ in range(num_layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.RMSNorm(hidden_size, eps=1e-6)
        self.output = nn.Linear(hidden_size, num_features, bias=False)
        has_roles = self.roles is SiteRoles.OWN
        self.output_bias = nn.Parameter(
            torch.zeros((num_sites, num_features) if has_roles else (num_features,))
        )
        self.position = nn.Parameter(torch.zeros(num_sites, hidden_size)) if has_roles else None
        self.context = nn.Linear(context_size, hidden_size, bias=False) if context_size else None
        with torch.no_grad():
            self.embedding.weight.mul_(_SCALE)
            nn.init.normal_(self.output.weight, std=_SCALE)
        cosine, sine = _rotations(num_sites, hidden_size // num_heads)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All sites at once."""
        return self.output(self.hidden_units(x, context)) + self.output_bias

    def hidden_units(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """What the last layer reads, of each site before it is known, [batch, T, H]."""
        check_context(context, self.context_size, len(x))
        known = in_order(self, self.embedding(x))[:, :-1]
        hidden = torch.cat((self.start.expand(len(x), 1, -1), known), 1)
        if self.position is not None:
            hidden = hidden + in_order(self, self.position.unsqueeze(0))
        if self.context is not None:
            hidden = hidden + self.context(context).unsqueeze(1)
        hidden = self.dropout(hidden)
        for block in self.blocks:
            hidden = block(hidden, self.cosine, self.sine)
        return as_stored(self, self.norm(hidden))

    def init_state(self, batch_size: int, context: Tensor | None = None) -> _Memory:
        """Room for the keys and values of all sites; inside an autocast they are in its type."""
        check_context(context, self.context_size, batch_size)
        device, dtype = self.device, self.dtype
        if torch.is_autocast_enabled(device.type) and dtype is torch.float32:
            dtype = torch.get_autocast_dtype(device.type)
        size = self.cosine.shape[1] * 2
        shape = (batch_size, 2, len(self.start) // size, self.num_sites, size)
        kept = [torch.zeros(shape, dtype=dtype, device=device) for _ in self.blocks]
        given = None if self.context is None else self.context(context)
        return _Memory(kept, given, Shared(self.order.tolist()))

    def step(self, state: _Memory, t: int, prev: Tensor | None) -> tuple[Tensor, _Memory]:
        """Attend to what is kept, and keep this site's keys and values."""
        order = state.order.value
        if prev is None:
            hidden = self.start.expand(len(state.kept[0]), -1)
        else:
            hidden = self.embedding.at(prev, order[t - 1])
        if self.position is not None:
            hidden = hidden + self.position[order[t]]
        if state.given is not None:
            hidden = hidden + state.given
        cosine, sine = self.cosine[t], self.sine[t]
        for block, kept in zip(self.blocks, state.kept, strict=True):
            assert isinstance(block, _Block)
            hidden = block.step(hidden, kept, t, cosine, sine)
        bias = self.output_bias if self.output_bias.ndim == 1 else self.output_bias[order[t]]
        return self.output(self.norm(hidden)) + bias, state


@dataclass
class _Memory:
    """Keys and values of blocks, [batch, 2, heads, T, size]; what a context adds; the order."""

    kept: list[Tensor]
    given: Tensor | None
    order: Shared[list[int]]


class _Block(nn.Module):
    """Attention and a gated hidden layer, each after a norm and beside the residual stream."""

    def __init__(self, size: int, num_heads: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        hidden = 8 * -(-size // 3)  # 8/3 of the stream: three matrices cost what two of 4 did
        self.attention_norm = nn.RMSNorm(size, eps=1e-6)
        self.query_key_value = nn.Linear(size, 3 * size, bias=False)
        self.attended = nn.Linear(size, size, bias=False)
        self.hidden_norm = nn.RMSNorm(size, eps=1e-6)
        self.gated = nn.Linear(size, 2 * hidden, bias=False)
        self.hidden = nn.Linear(hidden, size, bias=False)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            for linear in (self.query_key_value, self.gated):
                nn.init.normal_(linear.weight, std=_SCALE)
            for linear in (self.attended, self.hidden):
                # what adds to the stream is smaller the more of them there are
                nn.init.normal_(linear.weight, std=_SCALE / (2 * num_layers) ** 0.5)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """[batch, T, size] -> [batch, T, size]."""
        split = self.query_key_value(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # [batch, heads, T, size of a head]
        query, key = _rotated(query, cosine, sine), _rotated(key, cosine, sine)
        rate = self.dropout.p if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)
        x = x + self.dropout(self.attended(seen.transpose(1, 2).flatten(2)))
        return x + self.dropout(self._hidden(x))

    def step(self, x: Tensor, kept: Tensor, t: int, cosine: Tensor, sine: Tensor) -> Tensor:
        """[batch, size] -> [batch, size]."""
        split = self.query_key_value(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))
        query = _rotated(split[:, 0], cosine, sine).to(kept.dtype)
        kept[:, 0, :, t] = _rotated(split[:, 1], cosine, sine)
        kept[:, 1, :, t] = split[:, 2]
        key, value = kept[:, 0, :, : t + 1], kept[:, 1, :, : t + 1]
        seen = F.scaled_dot_product_attention(query.unsqueeze(2), key, value)
        x = x + self.attended(seen.flatten(1).to(x.dtype))
        return x + self._hidden(x)

    def _hidden(self, x: Tensor) -> Tensor:
        gate, value = self.gated(self.hidden_norm(x)).chunk(2, -1)
        return self.hidden(F.silu(gate) * value)


def _rotations(num_sites: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of each site's angles, [T, size / 2]."""
    speed = _BASE ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angle = torch.arange(num_sites, dtype=torch.float64).unsqueeze(1) * speed
    dtype = torch.get_default_dtype()
    return angle.cos().to(dtype), angle.sin().to(dtype)


def _rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Pairs of coordinates turned by the site's angles, so that only distances matter."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), -1)
