"""zuko's flows as ours (`pip install ancestral[flows]`)."""

from __future__ import annotations

from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, constraints

from ancestral.core import Conditional, IncompatibleChoices, OptionError, validation_kept
from ancestral.flows.flow import Flow

__all__ = ["ZukoConditional", "ZukoFlow", "load_zuko"]


def load_zuko() -> ModuleType:
    """The package zuko, imported without its trace on the rest of the process.

    `import zuko` turns off the argument checks of all of torch's distributions; here they are
    left as they were. Where a program imports zuko itself, it has to see to that.

    Raises:
        OptionError: it is not installed.
    """
    with validation_kept():
        try:
            import zuko
        except ImportError:
            raise OptionError(
                "expected the package zuko for its flows, which is not installed",
                hint="pip install 'ancestral[flows]'",
            ) from None
    return zuko


class ZukoFlow(Flow):
    """The transformation of one of zuko's flows.

    zuko's transformations lead from data to noise, and are quick in that direction. As a prior
    take it as it is: `inverse`, which densities need, is quick. As a posterior, which must be
    drawn from, take `Inverted(ZukoFlow(...))`.

    Args:
        flow: such as `zuko.flows.NSF(features=D, context=C)`; its base, which must be a standard
            normal, is left to `FlowConditional`.
        num_dims: D.
        context_size: C.

    Raises:
        IncompatibleChoices: the flow is no transformation of noise.
    """

    def __init__(self, flow: nn.Module, num_dims: int, *, context_size: int = 0) -> None:
        super().__init__(num_dims, context_size)
        if not hasattr(flow, "transform"):
            raise IncompatibleChoices(
                f"expected a flow with a transformation, got {type(flow).__name__}",
                hint="ZukoConditional takes any of zuko's distributions",
            )
        transform = flow.transform
        self.transform = transform

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data: zuko's inverse."""
        return self._called(self._transform(context).inv, z)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        return self._called(self._transform(context), z)

    def _transform(self, context: Tensor | None) -> Any:
        self.check_context(context)
        return self.transform(context)  # type: ignore[operator]

    def _called(self, transform: Any, z: Tensor) -> tuple[Tensor, Tensor]:
        return transform.call_and_ladj(z)


class ZukoConditional(Conditional):
    """Any of zuko's flows and other lazy distributions, base and all, as a conditional.

    Args:
        flow: such as `zuko.flows.NSF(features=D, context=C)` or `zuko.flows.GMM(...)`.

    Example:
        >>> zuko = load_zuko()                                           # doctest: +SKIP
        >>> prior = ZukoConditional(zuko.flows.NSF(features=20))         # doctest: +SKIP
    """

    def __init__(self, flow: nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, context: Tensor | None = None) -> Distribution:
        """The distribution given the context."""
        with validation_kept():
            distribution = self.flow(context)
        if hasattr(distribution, "rsample_and_log_prob"):
            return _Scored(distribution)
        return distribution


class _Scored(Distribution):
    """zuko's distribution under the names that posteriors ask for."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        super().__init__(inner.batch_shape, inner.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether zuko's has it."""
        return self.inner.has_rsample

    def rsample_with_log_prob(self, sample_shape: Size) -> tuple[Tensor, Tensor]:
        """Draws and their log-densities."""
        return self.inner.rsample_and_log_prob(sample_shape)

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Draws with gradients."""
        return self.inner.rsample(Size(sample_shape))

    def sample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Draws without gradients."""
        with torch.no_grad():
            return self.inner.sample(Size(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats."""
        return self.inner.log_prob(value)

    def expand(
        self, batch_shape: Size | tuple[int, ...], _instance: Distribution | None = None
    ) -> _Scored:
        """The same with a larger batch shape."""
        return _Scored(self.inner.expand(Size(batch_shape)))
