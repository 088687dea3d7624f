"""Names of likelihoods, as typed on a command line, and the data each is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ancestral.core.errors import IncompatibleChoices
from ancestral.core.registry import Registry
from ancestral.core.specification import Kind, Specification
from ancestral.distributions.bernoulli import Bernoulli
from ancestral.distributions.beta import Beta
from ancestral.distributions.categorical import Categorical
from ancestral.distributions.continuous_bernoulli import ContinuousBernoulli
from ancestral.distributions.counts import (
    NegativeBinomial,
    Poisson,
    ZeroInflatedNegativeBinomial,
)
from ancestral.distributions.discretized_logistic import DiscretizedLogistic
from ancestral.distributions.full_covariance import FullCovarianceNormal
from ancestral.distributions.head import Head
from ancestral.distributions.location_scale import Cauchy, Laplace, Logistic, StudentT
from ancestral.distributions.mixture import SiteMixture
from ancestral.distributions.normal import FixedScaleNormal, Normal
from ancestral.distributions.positive import Exponential, LogNormal
from ancestral.distributions.product import Product

__all__ = ["LIKELIHOODS", "Likelihood", "named_head"]

_COMPONENTS = 10

Build = Callable[[tuple[int, ...], int], Head]
"""Event shape and number of levels -> head."""

_NEEDS = {
    Kind.BINARY: "0 or 1",
    Kind.CATEGORICAL: "codes of categories",
    Kind.LEVELS: "ordered levels 0, 1, 2, ... up to a largest",
    Kind.COUNT: "counts",
    Kind.REAL: "real numbers",
    Kind.POSITIVE: "positive numbers",
    Kind.UNIT: "numbers from 0 to 1",
}


@dataclass(frozen=True)
class Likelihood:
    """A head that has a name.

    Args:
        build: event shape and number of levels -> head. The number is 0 where the data have none.
        kinds: of data that it can be a likelihood of.
        build_ordered: the same for levels, where it matters that these have an order.
    """

    build: Build
    kinds: frozenset[Kind]
    build_ordered: Build | None = None

    def builder(self, kind: Kind | None) -> Build:
        """The one for data of a kind."""
        ordered = self.build_ordered if kind is Kind.LEVELS else None
        return ordered or self.build


LIKELIHOODS: Registry[Likelihood] = Registry("likelihood")
"""The likelihoods by name."""


def named_head(name: str, spec: Specification) -> Head:
    """The head of that name for data of that specification.

    A table whose columns have different numbers of levels gets a `Product`.

    Raises:
        OptionError: there is no such name; the nearest ones are named.
        IncompatibleChoices: the data are of another kind, such as counts under a density.

    Example:
        >>> named_head("laplace", Specification(Kind.REAL, (3,)))
        Laplace(event_shape=(3,), min_log_scale=-7.0)
    """
    likelihood = LIKELIHOODS[name]
    for kind in Kind:
        if kind in spec.kinds and kind not in likelihood.kinds:
            raise _refusal(name, likelihood, kind)
    if spec.columns is None or spec.kind is not None:
        return likelihood.builder(spec.kind)(spec.shape, _levels(spec.kind, spec.num_levels))
    groups: dict[tuple[int, Build], list[int]] = {}
    for index, column in enumerate(spec.columns):
        key = (_levels(column.kind, column.num_levels), likelihood.builder(column.kind))
        groups.setdefault(key, []).append(index)
    if len(groups) == 1:
        num_levels, build = next(iter(groups))
        return build(spec.shape, num_levels)
    parts = tuple(
        (tuple(indices), build((len(indices),), num_levels))
        for (num_levels, build), indices in groups.items()
    )
    return Product(parts, tuple(column.name for column in spec.columns))


def _levels(kind: Kind | None, num_levels: int | None) -> int:
    return 2 if kind is Kind.BINARY else num_levels or 0


def _refusal(name: str, likelihood: Likelihood, kind: Kind) -> IncompatibleChoices:
    wanted = " or ".join(_NEEDS[k] for k in Kind if k in likelihood.kinds)
    fitting = ", ".join(n for n, other in LIKELIHOODS.items() if kind in other.kinds)
    hint = f"for such data there are: {fitting}"
    if kind.is_discrete and not any(k.is_discrete for k in likelihood.kinds):
        return IncompatibleChoices(
            f"the likelihood {name!r} is a density of real numbers, but the data are "
            f"{_NEEDS[kind]}: their density has no upper limit",
            hint=f"dequantise the data, or choose another; {hint}",
        )
    if name == "bernoulli":
        hint = f"binarise the data, or choose another; {hint}"
    return IncompatibleChoices(
        f"the likelihood {name!r} needs {wanted}, but the data are {_NEEDS[kind]}", hint=hint
    )


def _add(name: str, build: Callable[[tuple[int, ...], int], Head], *kinds: Kind) -> None:
    LIKELIHOODS.add(name, Likelihood(build, frozenset(kinds)))


_NUMBERS = (Kind.REAL, Kind.POSITIVE, Kind.UNIT)
# counts have no largest value, and levels do: a count's mass above it is merely never used
_COUNTS = (Kind.COUNT, Kind.LEVELS)

_add("bernoulli", lambda shape, _: Bernoulli(shape), Kind.BINARY)
_add("continuous-bernoulli", lambda shape, _: ContinuousBernoulli(shape), Kind.UNIT)
LIKELIHOODS.add(
    "categorical",
    Likelihood(
        Categorical,
        frozenset((Kind.BINARY, Kind.CATEGORICAL, Kind.LEVELS)),
        lambda shape, levels: Categorical(shape, levels, Kind.LEVELS),
    ),
)
_add("normal", lambda shape, _: Normal(shape), *_NUMBERS)
_add("normal-fixed", lambda shape, _: FixedScaleNormal(shape), *_NUMBERS)
_add("normal-full", lambda shape, _: FullCovarianceNormal(shape), *_NUMBERS)
_add("laplace", lambda shape, _: Laplace(shape), *_NUMBERS)
_add("student-t", lambda shape, _: StudentT(shape), *_NUMBERS)
_add("cauchy", lambda shape, _: Cauchy(shape), *_NUMBERS)
_add("logistic", lambda shape, _: Logistic(shape), *_NUMBERS)
_add("exponential", lambda shape, _: Exponential(shape), Kind.POSITIVE, Kind.UNIT)
_add("log-normal", lambda shape, _: LogNormal(shape), Kind.POSITIVE)
_add("beta", lambda shape, _: Beta(shape), Kind.UNIT)
_add("discretized-logistic", DiscretizedLogistic, Kind.LEVELS)
_add(
    "discretized-logistic-mixture",
    lambda shape, levels: SiteMixture(DiscretizedLogistic(shape, levels), _COMPONENTS),
    Kind.LEVELS,
)
_add("normal-mixture", lambda shape, _: SiteMixture(Normal(shape), _COMPONENTS), *_NUMBERS)
_add("poisson", lambda shape, _: Poisson(shape), *_COUNTS)
_add("negative-binomial", lambda shape, _: NegativeBinomial(shape), *_COUNTS)
_add(
    "zero-inflated-negative-binomial",
    lambda shape, _: ZeroInflatedNegativeBinomial(shape),
    *_COUNTS,
)
