"""An autoregressive model as the likelihood p(x | z)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ancestral.core import Conditional
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.models.autoregressive.distribution import AutoregressiveDistribution
from ancestral.models.autoregressive.typical import mean_of_draws, typical_of_draws
from ancestral.networks.causal import MergedContext

__all__ = ["AutoregressiveLikelihood"]

_DRAWS_TO_SHOW = 8
_NUMBERS = 1 << 22  # features of all samples at once where no gradient is asked for: 16 MB


class AutoregressiveLikelihood(Conditional):
    r"""log p(x | z) = \sum_t log p(x_t | x_{<t}, c(z)): cells depend on each other, given z.

    Exact, at the cost of one pass for each z. Where the network is a `MergedContext`, which looks
    at x and at c(z) apart, all samples of z of a datum share the pass over x.

    A strong one leaves nothing for z to say: the KL may fall to zero (`docs/posterior_collapse.md`
    shows it, and cures). A network that sees a few cells back only needs z for the rest.

    Args:
        model: autoregressive, given a context.
        adapter: z [..., L] -> the model's context, [..., *model.context_shape].

    Example:
        >>> from ancestral.distributions import Bernoulli, site_head
        >>> from ancestral.networks.causal import LinearCausal, Plain
        >>> network = LinearCausal(6, 1, Plain(), context_size=3)
        >>> model = AutoregressiveModel(network, site_head(Bernoulli((6,)), 6), (6,))
        >>> likelihood = AutoregressiveLikelihood(model, nn.Linear(2, 3))
        >>> x, z = torch.ones(4, 6), torch.zeros(5, 4, 2)   # [batch, *x], [samples, batch, L]
        >>> likelihood.log_prob(x, z).shape
        torch.Size([5, 4])

    References:
        | PixelVAE (Gulrajani et al., 2017), section 3.1; https://arxiv.org/abs/1611.05013
        | Variational Lossy Autoencoder (Chen et al., 2017), section 3.1
        | https://arxiv.org/abs/1611.02731
    """

    def __init__(self, model: AutoregressiveModel, adapter: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.adapter = adapter

    def forward(self, context: Tensor | None = None) -> AutoregressiveDistribution:
        """p(. | z), batch shape that of the leading axes of z."""
        return AutoregressiveDistribution(self.model, self.given(context))

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Exact log p(x | z) in nats.

        Raises:
            NotExact: cells are missing before others that are there, in the model's order.
        """
        if context is None:
            raise TypeError("this conditional needs a context")
        if observed is not None or not self._shares(y, context):
            return self.model.log_prob(y, self.given(context), observed)
        parts = [terms.sum(-1) for terms in self._terms(y, context)]
        log_prob = torch.cat(parts).reshape(context.shape[:-1])
        if self.model.units is not None:
            log_prob = log_prob + self.model.units.log_det()
        return log_prob

    def log_prob_sites(self, y: Tensor, context: Tensor) -> Tensor:
        """The terms of log p(x | z), [..., T] in nats, as stored; each given the sites before it.

        Args:
            y: [..., *x], broadcast against the leading axes of the context.
            context: z, [..., L].
        """
        if self.model.units is not None or not self._shares(y, context):
            return self.model.log_prob_sites(y, self.given(context))
        return torch.cat(list(self._terms(y, context))).reshape(*context.shape[:-1], -1)

    def _shares(self, y: Tensor, context: Tensor) -> bool:
        """Whether all samples of z of a datum can share the pass over x."""
        leading = y.shape[: y.ndim - len(self.model.shape)]
        fits = context.shape[:-1][-len(leading) :] == leading or not leading
        return isinstance(self.model.network, MergedContext) and fits

    def _terms(self, y: Tensor, context: Tensor) -> Iterator[Tensor]:
        """[samples, rows, T], in the head's units, of some samples of z at a time."""
        network = self.model.network
        assert isinstance(network, MergedContext)
        sites = self.model.to_sites(y.reshape(-1, *self.model.shape))
        values = network.of_values(sites)
        samples = context.reshape(-1, len(sites), context.shape[-1])
        size = values.numel() + len(sites) * network.num_sites * network.num_features
        # with a graph to keep, parts would save nothing
        at_once = len(samples) if torch.is_grad_enabled() else max(1, _NUMBERS // size)
        for some in samples.split(at_once):
            yield self.model.head.log_prob(network.merge(values, self.adapter(some)), sites)

    def sample(self, context: Tensor) -> Tensor:
        """One draw of x for each z, [..., *x]: T steps of the network."""
        return self._rows(context, lambda given: self.model.sample(len(given), given))

    def mean(self, context: Tensor) -> Tensor:
        """An estimate of E[x | z], [..., *x], that is the same at each call.

        The mean of E[x_t | x_{<t}, z] over 8 draws of x, whose noise is the same for all z.
        """
        return self._rows(context, lambda c: mean_of_draws(self.model, c, _DRAWS_TO_SHOW))

    def representative(self, context: Tensor) -> Tensor:
        """What a reconstruction shows: `mean`; for codes without order, the likeliest code.

        A draw would be as good an example of p(x | z), but would show what the decoder makes up
        along with what z says; the mean over draws shows the latter.
        """
        return self._rows(context, lambda c: typical_of_draws(self.model, c, _DRAWS_TO_SHOW))

    def given(self, context: Tensor | None) -> Tensor:
        """What the autoregressive model is given: [..., *model.context_shape], for z [..., L]."""
        if context is None:
            raise TypeError("this conditional needs a context")
        return self.adapter(context)

    @torch.no_grad()
    def _rows(self, z: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """A function of contexts [rows, *context_shape], for z of any leading axes."""
        given = self.given(z)
        leading = given.shape[: given.ndim - len(self.model.context_shape)]
        found = function(given.reshape(-1, *self.model.context_shape))
        return found.reshape(*leading, *self.model.shape)
