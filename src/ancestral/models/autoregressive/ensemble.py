"""`OrderEnsemble`: a mixture of one model's distributions under several orders of its sites."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution

from ancestral.core import Conditional, OptionError
from ancestral.models.autoregressive.distribution import AutoregressiveDistribution
from ancestral.models.autoregressive.model import AutoregressiveModel
from ancestral.models.autoregressive.sampling import Drawn, SamplingMethod
from ancestral.models.autoregressive.truncation import Truncation

__all__ = ["OrderEnsemble", "random_orders"]


class OrderEnsemble(Conditional):
    r"""p(x | c) = 1/M \sum_m p(x | c, o_m): an order-agnostic model under M orders, exact.

    Each p(. | o_m) sums to one, and so does their mean. Averages of conditionals or of logits
    over orders do not: there each conditional would see sites that come later.

    log p costs M passes. A sample costs what it costs the model; samples whose order is the same
    are drawn together.

    Args:
        model: whose network has `with_order`; the ensemble shares its weights.
        orders: [M, T], each row a permutation of the sites; they are kept with the weights.

    Raises:
        IncompatibleChoices: the model was made for one order.
        OptionError: a row is no permutation of the sites.

    Example:
        >>> from ancestral.distributions import Bernoulli, site_head
        >>> from ancestral.networks.causal import OrderAgnosticNADE, Plain
        >>> network = OrderAgnosticNADE(6, 1, Plain(), hidden_sizes=[16])
        >>> model = AutoregressiveModel(network, site_head(Bernoulli((6,)), 6), (6,))
        >>> OrderEnsemble(model, random_orders(6, 4)).log_prob_orders(torch.zeros(3, 6)).shape
        torch.Size([4, 3])

    References:
        | Uria, Murray & Larochelle (2014), A deep and tractable density estimator, section 4.1
        | Germain et al. (2015), MADE: masked autoencoder for distribution estimation, section 4.2
    """

    orders: Tensor

    def __init__(
        self, model: AutoregressiveModel, orders: Sequence[Sequence[int]] | Tensor
    ) -> None:
        super().__init__()
        found = torch.as_tensor(orders, dtype=torch.int64)
        if found.ndim != 2 or len(found) == 0:
            raise OptionError(
                f"expected orders [M, {model.network.num_sites}], got {list(found.shape)}",
                hint="one row lists the site of each step; `random_orders` makes some",
            )
        for order in found:
            model.with_order(order)  # refuses now what could not be asked for later
        self.model = model
        self.register_buffer("orders", found)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one datum."""
        return self.model.shape

    @property
    def is_conditional(self) -> bool:
        """Whether it takes a context."""
        return self.model.is_conditional

    @property
    def context_shape(self) -> tuple[int, ...]:
        """Of one context."""
        return self.model.context_shape

    @property
    def num_orders(self) -> int:
        """M."""
        return len(self.orders)

    def log_prob(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Exact log p of the mixture, in nats of the data as given, [...].

        Args:
            y: [..., *shape].
            context: [..., context_size], broadcast against the leading axes of y; or None.
            observed: [..., *shape] bool; missing sites must come last in every order.

        Raises:
            NotExact: cells are missing before others that are there, in some order.
        """
        joint = self.log_prob_orders(y, context, observed)
        return joint.logsumexp(0) - math.log(self.num_orders)

    def log_prob_observed(
        self, y: Tensor, observed: Tensor, context: Tensor | None = None
    ) -> Tensor:
        """Exact log p of the observed cells, [batch] in nats, whichever are missing.

        The mixture over the orders, in each of which a row's missing cells come last; see
        `AutoregressiveModel.log_prob_observed` for the arguments and for what that means. It is
        not the marginal of this ensemble, whose orders are its own: that is what
        `ancestral.applications.impute` estimates.
        """
        members = (self.model.with_order(order) for order in self.orders)
        joint = torch.stack([m.log_prob_observed(y, observed, context) for m in members])
        return joint.logsumexp(0) - math.log(self.num_orders)

    def log_prob_orders(
        self, y: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Exact log p under each order, [M, ...] in nats."""
        members = (self.model.with_order(order) for order in self.orders)
        return torch.stack([member.log_prob(y, context, observed) for member in members])

    def forward(self, context: Tensor | None = None) -> Distribution:
        """p(. | c) as a torch distribution, batch shape that of the context's leading axes."""
        return AutoregressiveDistribution(self, context)

    def with_order(self, order: Sequence[int] | Tensor) -> AutoregressiveModel:
        """The model under one order, with the same weights."""
        return self.model.with_order(order)

    @torch.no_grad()
    def sample(
        self,
        num_samples: int,
        context: Tensor | None = None,
        *,
        method: SamplingMethod = SamplingMethod.AUTO,
        truncation: Truncation | None = None,
    ) -> Tensor:
        """Ancestral samples, [num_samples, *shape]: an order for each, then its sites.

        Args:
            num_samples: how many.
            context: [num_samples, context_size], or [context_size] for all; or None.
            method: how; the samples are the same for all methods, given the state of the
                random number generator.
            truncation: temperature, top-k and top-p, which make samples of another distribution.
        """
        return self.draw(num_samples, context, method=method, truncation=truncation).x

    @torch.no_grad()
    def draw(
        self,
        num_samples: int,
        context: Tensor | None = None,
        *,
        method: SamplingMethod = SamplingMethod.AUTO,
        truncation: Truncation | None = None,
    ) -> Drawn:
        """As `sample`, with the passes of the order that took most."""
        if context is not None and context.ndim == 1:
            context = context.expand(num_samples, -1)
        # all noise first, so that no sample's depends on how the others are drawn
        chosen = torch.randint(self.num_orders, (num_samples,), device=self.orders.device)
        uniforms = self.model.uniforms(num_samples)
        x = uniforms.new_empty(num_samples, *self.shape)
        parts = []
        for index in chosen.unique().tolist():
            rows = (chosen == index).nonzero().squeeze(1)
            given = None if context is None else context[rows]
            member = self.model.with_order(self.orders[index])
            parts.append(member.draw(uniforms[rows], given, method=method, truncation=truncation))
            x[rows] = parts[-1].x
        passes = max((part.num_passes for part in parts), default=0)
        return Drawn(x, passes, parts[0].method if parts else method)


def random_orders(num_sites: int, num_orders: int, seed: int = 0) -> Tensor:
    """Uniformly random permutations, [num_orders, num_sites] int64; a function of the seed.

    Example:
        >>> random_orders(4, 3).shape, random_orders(4, 3).sort(1).values.unique(dim=0).tolist()
        (torch.Size([3, 4]), [[0, 1, 2, 3]])

    Raises:
        OptionError: no order is asked for.
    """
    if num_orders < 1:
        raise OptionError(f"expected at least 1 order, got {num_orders}")
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(num_sites, generator=generator) for _ in range(num_orders)]
    return torch.stack(orders)
