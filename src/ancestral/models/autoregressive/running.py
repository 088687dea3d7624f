"""Running sequences: longer than the T sites of a model, which takes them window by window."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.core import IncompatibleChoices, OptionError
from ancestral.distributions import Site
from ancestral.models.autoregressive.decoding import decode, draw_site, step_threads
from ancestral.models.autoregressive.model import AutoregressiveModel
from ancestral.models.autoregressive.sampling import as_noise
from ancestral.models.autoregressive.truncation import Truncation

__all__ = ["check_running", "continue_running", "log_prob_running"]


@torch.no_grad()
def log_prob_running(
    model: AutoregressiveModel, text: Tensor, *, overlap: int | None = None, batch_size: int = 100
) -> Tensor:
    r"""Exact log p of each symbol of a long sequence, given at least `overlap` before it.

    Window k begins at symbol k (T - overlap), and says something about what earlier windows do
    not reach. Together that is one distribution over sequences of any length, the one that
    `continue_running` draws from:

    .. math:: p(x_1 \ldots x_N) = \prod_i p(x_i | x_{s(i)} \ldots x_{i-1}), \quad
              i - s(i) \ge \text{overlap or } s(i) = 1

    Args:
        model: of windows of T codes, in the order of storage.
        text: [N] codes.
        overlap: symbols that a window shares with the one before; None: half of T. More of them
            tell the model more, and cost T / (T - overlap) passes over the text.
        batch_size: windows at a time.

    Returns:
        [N] nats; only the first `overlap` symbols have fewer before them.
    """
    num_sites, overlap = check_running(model, overlap)
    stride = num_sites - overlap
    further = -(-max(len(text) - num_sites, 0) // stride)  # windows after the first
    filling = num_sites + further * stride - len(text)  # which changes nothing before it
    windows = F.pad(text.to(model.network.dtype), (0, filling)).unfold(0, num_sites, stride)
    terms = torch.cat([model.log_prob_sites(some) for some in windows.split(batch_size)])
    return torch.cat((terms[0, :overlap], terms[:, overlap:].flatten()))[: len(text)]


@torch.no_grad()
def continue_running(
    model: AutoregressiveModel,
    prefix: Tensor,
    uniforms: Tensor,
    *,
    overlap: int | None = None,
    truncation: Truncation | None = None,
    context: Tensor | None = None,
) -> Tensor:
    """Exact draws of what follows a prefix, of any length.

    A prefix comes first in the order, so that clamping it is conditioning on it.

    Args:
        model: of windows of T codes, in the order of storage; in evaluation mode.
        prefix: [batch, P] codes; P may be 0.
        uniforms: [batch, new symbols, head.num_uniforms], noise in (0, 1).
        overlap: symbols that a window shares with the one before; None: half of T.
        truncation: temperature, top-k and top-p.
        context: [batch, context_size] or None.

    Returns:
        [batch, P + new symbols].
    """
    num_sites, overlap = check_running(model, overlap)
    uniforms = as_noise(uniforms, model.network.dtype)
    known = prefix.shape[1]
    text = torch.cat((prefix.to(uniforms), uniforms.new_zeros(uniforms.shape[:2])), 1)
    total = text.shape[1]
    with step_threads(model.network, len(uniforms)):
        for start in range(0, max(total - overlap, 1), num_sites - overlap):
            if start + num_sites <= known:
                continue

            def choose(
                t: int, index: int, site: Site, features: Tensor, start: int = start
            ) -> Tensor:
                del index
                place = start + t
                if place >= total:
                    return text.new_zeros(len(text), 1)
                if place >= known and (t >= overlap or start == 0):
                    noise = uniforms[:, place - known]
                    text[:, place] = draw_site(site, features, noise, truncation).squeeze(1)
                return text[:, place : place + 1]

            decode(model.network, model.head, len(text), choose, context)
    return text


def check_running(model: AutoregressiveModel, overlap: int | None = None) -> tuple[int, int]:
    """T and the overlap of a model that takes running sequences.

    Raises:
        IncompatibleChoices: its windows are not sequences of one code in the order of storage.
        OptionError: there is no such overlap.
    """
    network = model.network
    if network.width != 1 or not network.is_raster:
        raise IncompatibleChoices("expected a model of sequences in the order of storage")
    overlap = network.num_sites // 2 if overlap is None else overlap
    if not 0 <= overlap < network.num_sites:
        raise OptionError(
            f"expected an overlap from 0 to {network.num_sites - 1}, got {overlap}",
            hint=f"the model's windows have {network.num_sites} sites",
        )
    return network.num_sites, overlap
