"""`AutoregressiveModel`: p(x) as a product over sites, exact."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core import Conditional, DataDependent, IncompatibleChoices, NotExact
from ancestral.core.shapes import expect_event
from ancestral.distributions import SiteHead
from ancestral.models.autoregressive.distribution import AutoregressiveDistribution
from ancestral.models.autoregressive.sampling import Drawn, SamplingMethod, draw, open_uniforms
from ancestral.models.autoregressive.truncation import Truncation
from ancestral.models.units import Units
from ancestral.networks.causal import CausalNetwork, GivenAny

__all__ = ["AutoregressiveModel"]


class AutoregressiveModel(Conditional, DataDependent):
    r"""log p(x | c) = \sum_t log p(x_{o(t)} | x_{o(<t)}, c): a causal network and a head.

    The likelihood is exact, at the cost of one pass of the network. Samples take T steps, each
    as cheap as the network's `step`.

    Args:
        network: features of each site, from the sites before it in its order.
        head: features of a site -> its distribution.
        shape: of one datum; its cells, in the order of storage, are the T W sub-symbols.
        units: the bijection from the data's units to the head's; None if they are the same.

    Example:
        >>> from ancestral.distributions import Bernoulli, site_head
        >>> from ancestral.networks.causal import LinearCausal, Plain
        >>> network = LinearCausal(6, 1, Plain())
        >>> model = AutoregressiveModel(network, site_head(Bernoulli((2, 3)), 6), (2, 3))
        >>> model.log_prob(torch.zeros(4, 2, 3)).exp()
        tensor([0.0156, 0.0156, 0.0156, 0.0156], grad_fn=...)
    """

    def __init__(
        self,
        network: CausalNetwork,
        head: SiteHead,
        shape: tuple[int, ...],
        units: Units | None = None,
    ) -> None:
        super().__init__()
        assert (head.num_sites, head.width) == (network.num_sites, network.width)
        self.network = network
        self.head = head
        self.shape = shape
        self.units = None if units is None or units.is_identity else units

    @property
    def is_conditional(self) -> bool:
        """Whether it takes a context."""
        return self.network.context_size > 0

    @property
    def context_shape(self) -> tuple[int, ...]:
        """Of one context: (context_size,), or (T, context_size) where each site has its own."""
        return self.network.context_shape

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Exact log p in nats of the data as given.

        Args:
            y: [..., *shape].
            context: [..., *context_shape], broadcast against the leading axes of y; or None.
            observed: [..., *shape] bool; only sites that come after all observed ones, in the
                network's order, may be missing.

        Returns:
            [...].

        Raises:
            NotExact: cells are missing before others that are there.
        """
        if observed is None:
            return self._log_prob_sites(y, context).sum(-1)
        seen = self._observed_sites(observed)
        filled = torch.where(observed, y, 0.0)
        values = self._log_prob_sites(filled, context, observed)
        return torch.where(seen, values, 0.0).sum(-1)

    def log_prob_sites(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """The terms of log p: [..., T] in nats, as stored; each given the sites before it."""
        return self._log_prob_sites(y, context)

    def log_prob_given(self, y: Tensor, known: Tensor, context: Tensor | None = None) -> Tensor:
        """Log p(x_t | known sites, c) of each other site by itself, [batch, T] in nats.

        Known sites get 0. The terms of unknown sites do not add up to a joint log p: none of
        them knows the others.

        Args:
            y: [batch, *shape].
            known: [batch, T] bool, sites as stored.
            context: [batch, context_size] or None.

        Raises:
            IncompatibleChoices: the network needs all sites before the one that it predicts.
        """
        network = self._given_any()
        sites = self.to_sites(y)
        log_prob = self.head.log_prob(network.given(sites, known, context), sites)
        if self.units is not None:
            log_prob = log_prob + self._log_det(self.units, None)
        return torch.where(known, 0.0, log_prob)

    def log_prob_observed(
        self, y: Tensor, observed: Tensor, context: Tensor | None = None
    ) -> Tensor:
        """Exact log p of the observed cells under an order that has them first, [batch] in nats.

        The order is each row's own: the network's, with the missing sites moved to its end. So
        rows that miss different cells are scored by different, consistent models of those cells,
        and not by the marginals of one; they agree as far as training made the orders agree.

        Args:
            y: [batch, *shape]; missing cells may hold anything.
            observed: [batch, *shape] bool; a site is there as a whole or not at all.
            context: [batch, context_size] or None.

        Raises:
            IncompatibleChoices: the network was made for one order.
            NotExact: a site is there in part.
        """
        network = self._given_any()
        expect_event(observed, self.shape, "observed")
        parts = observed.reshape(len(observed), self.network.num_sites, self.network.width)
        present = parts.all(-1)
        if not bool((parts.any(-1) == present).all()):
            raise NotExact(
                "expected sites that are observed as a whole or not at all, got one in part",
                hint="mark all its cells as missing",
            )
        sites = self.to_sites(torch.where(observed, y, 0.0))
        log_prob = self.head.log_prob(network.among(sites, present, context), sites)
        if self.units is not None:
            log_prob = log_prob + self._log_det(self.units, None)
        return torch.where(present, log_prob, 0.0).sum(-1)

    def _given_any(self) -> GivenAny:
        """The network, if it takes any set of known sites."""
        if isinstance(self.network, GivenAny):
            return self.network
        raise IncompatibleChoices(
            f"{type(self.network).__name__} predicts a site from all sites before it only",
            hint="an order-agnostic network (eonade) takes any set of known sites",
        )

    def features(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """Of every site given those before it, [batch, T, P], for y [batch, *shape]."""
        expect_event(y, self.shape, "data")
        return self.network(self._to_sites(y), context)

    def forward(self, context: Tensor | None = None) -> Distribution:
        """p(. | c) as a torch distribution, batch shape that of the context's leading axes."""
        return AutoregressiveDistribution(self, context)

    def sample(
        self,
        num_samples: int,
        context: Tensor | None = None,
        *,
        method: SamplingMethod = SamplingMethod.AUTO,
        truncation: Truncation | None = None,
    ) -> Tensor:
        """Ancestral samples, [num_samples, *shape].

        Args:
            num_samples: how many.
            context: [num_samples, *context_shape], or [*context_shape] for all; or None.
            method: how; the samples are the same for all methods, given the state of the
                random number generator.
            truncation: temperature, top-k and top-p, which make samples of another distribution.
        """
        if context is not None and context.ndim == len(self.context_shape):
            context = context.expand(num_samples, *context.shape)
        return self.draw(
            self.uniforms(num_samples), context, method=method, truncation=truncation
        ).x

    def uniforms(self, num_samples: int) -> Tensor:
        """Noise of so many samples, [num_samples, T, head.num_uniforms], in (0, 1)."""
        shape = (num_samples, self.network.num_sites, self.head.num_uniforms)
        return open_uniforms(shape, self.network.dtype, self.network.device)

    @torch.no_grad()
    def draw(
        self,
        uniforms: Tensor,
        context: Tensor | None = None,
        *,
        method: SamplingMethod = SamplingMethod.AUTO,
        truncation: Truncation | None = None,
    ) -> Drawn:
        """Samples as a function of their noise, and what they cost.

        Args:
            uniforms: [num_samples, T, head.num_uniforms].
            context: [num_samples, context_size] or None.
            method: how; all give the same samples.
            truncation: temperature, top-k and top-p.
        """
        drawn = draw(
            self.network, self.head, uniforms, context, method=method, truncation=truncation
        )
        return Drawn(self.from_sites(drawn.x), drawn.num_passes, drawn.method)

    def with_order(self, order: Sequence[int] | Tensor) -> AutoregressiveModel:
        """The model under another order of its sites, with the same weights.

        Raises:
            IncompatibleChoices: the network was made for one order.
        """
        network = self.network.with_order(order)
        return AutoregressiveModel(network, self.head, self.shape, self.units)

    def with_length(self, length: int) -> AutoregressiveModel:
        """The model of sequences of another length, with the same weights.

        Raises:
            IncompatibleChoices: the network was made for one length, the data are no sequences
                of single numbers, or cells have units of their own.
        """
        if len(self.shape) != 1 or self.units is not None:
            raise IncompatibleChoices(
                f"expected a model of sequences in the data's units, got one of shape "
                f"{list(self.shape)}",
                hint="leave out the length",
            )
        network = self.network.with_length(length)
        return AutoregressiveModel(network, self.head.with_length(length), (length,))

    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Check the support, and set the output bias to the training frequencies.

        Units and encodings must be initialised first.
        """
        if observed is not None and not bool(observed.all()):
            raise NotExact(
                "an autoregressive model needs complete data to train on, and cells are missing",
                hint="`vae` and `ppca` take gaps; or fill them in, or leave out their rows",
            )
        sites = self._to_sites(x)
        self.head.check(sites)
        bias = getattr(self.network, "output_bias", None)
        if bias is None:
            return
        initial = self.head.initial_features(sites)
        with torch.no_grad():
            bias.copy_(initial if bias.ndim == 2 else initial.mean(0))

    def from_sites(self, sites: Tensor) -> Tensor:
        """[batch, T, W] in the head's units -> [batch, *shape] in the data's."""
        x = sites.reshape(len(sites), *self.shape)
        return x if self.units is None else self.units.inverse(x)

    def to_sites(self, y: Tensor) -> Tensor:
        """[batch, *shape] in the data's units -> [batch, T, W] in the head's."""
        expect_event(y, self.shape, "data")
        return self._to_sites(y)

    def _to_sites(self, y: Tensor) -> Tensor:
        x = y if self.units is None else self.units(y)
        return x.reshape(len(x), self.network.num_sites, self.network.width)

    def _log_prob_sites(
        self, y: Tensor, context: Tensor | None, observed: Tensor | None = None
    ) -> Tensor:
        expect_event(y, self.shape, "data")
        leading = y.shape[: y.ndim - len(self.shape)]
        if context is not None:
            given = context.shape[-len(self.context_shape) :]
            leading = torch.broadcast_shapes(leading, context.shape[: -len(given)])
            context = context.expand(*leading, *given).reshape(-1, *given)
        flat = y.expand(*leading, *self.shape).reshape(-1, *self.shape)
        sites = self._to_sites(flat)
        log_prob = self.head.log_prob(self.network(sites, context), sites)
        log_prob = log_prob.reshape(*leading, log_prob.shape[-1])
        if self.units is None:
            return log_prob
        return log_prob + self._log_det(self.units, observed)

    def _log_det(self, units: Units, observed: Tensor | None) -> Tensor:
        """Log |d sites / d data| of each site, [T] or [..., T]."""
        log_scale = units.scale.log().reshape(self.network.num_sites, self.network.width)
        if observed is None:
            return -log_scale.sum(-1)
        leading = observed.shape[: observed.ndim - len(self.shape)]
        return -(log_scale * observed.reshape(*leading, *log_scale.shape)).sum(-1)

    def _observed_sites(self, observed: Tensor) -> Tensor:
        """[..., T] bool, as stored.

        Raises:
            NotExact: unless the observed sites are the first of the order.
        """
        expect_event(observed, self.shape, "observed")
        leading = observed.shape[: observed.ndim - len(self.shape)]
        sites = observed.reshape(*leading, self.network.num_sites, self.network.width)
        seen = sites.all(-1)
        in_order = seen[..., self.network.order]
        is_prefix = (in_order[..., 1:] <= in_order[..., :-1]).all()
        if not bool(is_prefix) or not bool((sites.any(-1) == seen).all()):
            raise NotExact(
                "log p with missing cells is exact only if they come last in the model's order",
                hint="`impute` estimates log p of the observed cells, with its error",
            )
        return seen
