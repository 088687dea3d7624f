"""`LatentSpace`: the variables that are coded for a model, and how they lead to its z."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.distributions import Distribution

from ancestral.applications.compression.latent_coders import Factor
from ancestral.applications.compression.latent_factors import (
    coding_posterior,
    factors_of,
    gaussian_like,
    is_coded,
    moments_of,
)
from ancestral.core import Batch, Draws, IncompatibleChoices, NotExact, seeded
from ancestral.distributions import CellSite, DiagonalNormal, Normal, NormalMixture, SiteMixture
from ancestral.flows import FlowConditional, MaskedAutoregressive
from ancestral.inference.posteriors import Amortized, Posterior
from ancestral.models import AutoregressiveModel, DiagonalGaussian, LatentVariableModel

__all__ = ["Inferred", "LatentSpace", "latent_space"]


@dataclass(frozen=True)
class Inferred:
    """What is known of u once x is.

    Attributes:
        factors: q(u | x).
        log_ratio: u [rows, L] -> log p(u) - log q(u | x), [rows] in nats.
    """

    factors: list[Factor]
    log_ratio: Callable[[Tensor], Tensor]


class LatentSpace(ABC):
    """Variables u with p(u) and q(u | x) that a stack can code, and z as a function of u."""

    def __init__(self, model: LatentVariableModel, posterior: Posterior, seed: int) -> None:
        self.model = model
        self.posterior = posterior
        self.seed = seed

    @abstractmethod
    def prior(self) -> list[Factor]:
        """p(u)."""

    @abstractmethod
    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of q(u | x), [rows, L]; see `moments_of`."""

    @abstractmethod
    def inferred(self, batch: Batch) -> Inferred:
        """q(u | x)."""

    def to_model(self, coded: Tensor) -> Tensor:
        """The z [rows, L] of variables u [rows, L]; here they are the same."""
        return coded

    def posterior_of(self, batch: Batch) -> Distribution:
        """What z is drawn from, in a form that has factors; see `coding_posterior`."""
        return coding_posterior(self.model, self.posterior, batch, self.seed)

    def log_ratio(self, q: Distribution, coded: Tensor) -> Tensor:
        """Log p(z) - log q(z | x), which is that of u wherever z is a bijection of it."""
        z = self.to_model(coded)
        return self.model.log_prior(z) - q.log_prob(z)


class _Plain(LatentSpace):
    """u = z."""

    def prior(self) -> list[Factor]:
        return _prior_factors(self.model)

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return moments_of(self.posterior_of(batch))

    def inferred(self, batch: Batch) -> Inferred:
        q = self.posterior_of(batch)
        return Inferred(factors_of(q), partial(self.log_ratio, q))


class _FlowOfOneStep(_Plain):
    """A prior by one masked step, e_i = m_i(z_<i) + s_i(z_<i) z_i for noise e: z_i is Gaussian."""

    def __init__(self, *args: object, step: MaskedAutoregressive, base: DiagonalNormal) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._step, self._base = step, base

    def prior(self) -> list[Factor]:
        return _undone(self._step, self._base)


class _FlowOfTwoSteps(_FlowOfOneStep):
    """The variables between the two steps, in which both p and q are Gaussian one by one.

    They are y_i = m_i(z_<i) + s_i(z_<i) z_i in the order of the step next to z, so that z_i under
    a diagonal q makes a Gaussian of y_i; and under p they are noise that one step has moved.
    """

    def __init__(
        self,
        *args: object,
        nearest: MaskedAutoregressive,
        step: MaskedAutoregressive,
        base: DiagonalNormal,
    ) -> None:
        super().__init__(*args, step=step, base=base)
        self._nearest = nearest

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        q = self._diagonal(batch)
        zero, _ = self._nearest.inverse(q.loc)
        one, _ = self._nearest.inverse(q.loc + q.stddev)
        return zero, (one - zero).abs().clamp_min(1e-3)

    def inferred(self, batch: Batch) -> Inferred:
        q = self._diagonal(batch)
        factors = [
            Factor(slice(i, i + 1), partial(self._moved, q, i)) for i in self._nearest.order
        ]
        return Inferred(factors, partial(self.log_ratio, q))

    def to_model(self, coded: Tensor) -> Tensor:
        return self._nearest(coded)[0]

    def _moved(self, q: DiagonalNormal, index: int, coded: Tensor) -> DiagonalNormal:
        shift, scale = _affine(self._nearest, index, self._nearest(coded)[0])
        loc = shift + scale * q.loc[:, index, None]
        return DiagonalNormal(loc, q.log_scale[:, index, None] + scale.log())

    def _diagonal(self, batch: Batch) -> DiagonalNormal:
        q = self.posterior_of(batch)
        assert isinstance(q, DiagonalNormal)
        return q


class _FlowsNoise(LatentSpace):
    """The noise that a flow makes z of; under q it is a Gaussian of the same moments."""

    def __init__(self, *args: object, prior: FlowConditional) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._flow = prior.flow
        self._base = prior.base

    def prior(self) -> list[Factor]:
        return factors_of(self._base())

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return moments_of(self._matched(batch))

    def inferred(self, batch: Batch) -> Inferred:
        q, p = self._matched(batch), self._base()
        return Inferred(factors_of(q), lambda coded: p.log_prob(coded) - q.log_prob(coded))

    def to_model(self, coded: Tensor) -> Tensor:
        return self._flow(coded)[0]

    def _matched(self, batch: Batch) -> Distribution:
        propose = self.posterior.adapted(self.model, batch).proposal(self.model, batch)

        def noise(count: int) -> Draws:
            drawn = propose(count)
            return Draws(self._flow.inverse(drawn.z)[0], drawn.log_q)

        with seeded(self.seed):
            return gaussian_like(noise)


def latent_space(model: LatentVariableModel, posterior: Posterior, seed: int) -> LatentSpace:
    """How the latent variables of a model are coded.

    Args:
        model: p, in evaluation mode.
        posterior: q, in evaluation mode.
        seed: of draws, where moments are to be estimated.

    Raises:
        IncompatibleChoices: the prior cannot be coded.
        NotExact: there is no q to draw from.
    """
    if not posterior.has_density:
        raise NotExact(
            "bits-back draws z from q(z | x), and a deterministic encoder has none",
            hint="fit with an encoder that has one: --posterior diagonal",
        )
    args = (model, posterior, seed)
    prior = model.prior
    if not isinstance(prior, FlowConditional):
        plain = _Plain(*args)
        plain.prior()  # refuses what it cannot take apart
        return plain
    base, flow = prior.base(), prior.flow
    if isinstance(flow, MaskedAutoregressive) and isinstance(base, DiagonalNormal):
        nearest, *others = flow.single_steps()
        if not others:
            return _FlowOfOneStep(*args, step=nearest, base=base)
        if len(others) == 1 and _is_diagonal(posterior):
            return _FlowOfTwoSteps(*args, nearest=nearest, step=others[0], base=base)
    return _FlowsNoise(*args, prior=prior)


def _is_diagonal(posterior: Posterior) -> bool:
    return isinstance(posterior, Amortized) and isinstance(posterior.encoder, DiagonalGaussian)


def _prior_factors(model: LatentVariableModel) -> list[Factor]:
    prior = model.prior
    if isinstance(prior, AutoregressiveModel):
        return [
            Factor(slice(i, i + 1), partial(_site, prior, i)) for i in prior.network.order.tolist()
        ]
    p = prior()
    if not is_coded(p):
        raise IncompatibleChoices(
            f"bits-back needs a prior that gives latent variables one after the other, got "
            f"{type(p).__name__}",
            hint="Gaussian, layered, mixture, autoregressive and flow priors can be coded",
        )
    return factors_of(p)


def _site(prior: AutoregressiveModel, index: int, z: Tensor) -> NormalMixture:
    """p(z_i | z_<i) of an autoregressive prior of mixtures of Gaussians."""
    site = prior.head.site(index)
    head = site.head if isinstance(site, CellSite) else None
    if not (isinstance(head, SiteMixture) and isinstance(head.component, Normal)):
        raise IncompatibleChoices(
            "bits-back codes autoregressive priors whose conditionals are mixtures of Gaussians",
            hint="`AutoregressivePrior` has such",
        )
    features = prior.features(z)[:, index, : head.num_features]
    logits, components = head.split(features.unflatten(-1, head.feature_shape))
    loc, log_scale = head.component.location_and_log_scale(components)
    return NormalMixture(logits.squeeze(-1), loc, log_scale)


def _undone(step: MaskedAutoregressive, base: DiagonalNormal) -> list[Factor]:
    """The density of z with step.inverse(z) ~ base, dimension by dimension."""

    def given(index: int, z: Tensor) -> DiagonalNormal:
        shift, scale = _affine(step, index, z)
        loc = (base.loc.expand(len(z), -1)[:, index, None] - shift) / scale
        log_scale = base.log_scale.expand(len(z), -1)[:, index, None] - scale.log()
        return DiagonalNormal(loc, log_scale)

    return [Factor(slice(i, i + 1), partial(given, i)) for i in step.order]


def _affine(step: MaskedAutoregressive, index: int, z: Tensor) -> tuple[Tensor, Tensor]:
    """Shift and scale of a dimension of step.inverse, both [rows, 1], as functions of z_<i."""
    at: list[Tensor] = []
    for value in (0.0, 1.0):
        probe = z.clone()
        probe[:, index] = value
        at.append(step.inverse(probe)[0][:, index, None])
    return at[0], at[1] - at[0]
