"""Posteriors over several stochastic layers: from the data up, or from the top down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ancestral.core import Batch, Conditional, IncompatibleChoices, OptionError, seeded
from ancestral.core.noise import shared_noise
from ancestral.core.shapes import at_least_float32
from ancestral.distributions import Chain, DiagonalNormal
from ancestral.inference.posteriors.amortized import draws_pass_gradients
from ancestral.inference.posteriors.posterior import ParametricPosterior
from ancestral.models import LatentVariableModel, LayeredPrior

__all__ = ["BottomUp", "Ladder"]

_DRAWS_FOR_A_MEAN = 100
# as of Gaussian encoders: far below the noise of any decoder, far above the spread of any prior
_MIN_LOG_SCALE, _MAX_LOG_SCALE = -7.0, 7.0


class _Chained(ParametricPosterior):
    """One whose distribution is a `Chain`."""

    def mean(self, model: LatentVariableModel, batch: Batch) -> Tensor:
        """E_q[z]: the mean over 100 draws of each layer's mean given the layer drawn before it.

        Exact for the layer drawn first. All rows get the same noise at each call.
        """
        q = self.distribution(model, batch)
        assert isinstance(q, Chain)
        with seeded(0), shared_noise(axis=1):
            return q.conditional_means(_DRAWS_FOR_A_MEAN).mean(0)


class BottomUp(_Chained):
    r"""q(z | x) = q(z_1 | x) \prod_{l < n} q(z_{l+1} | z_l): each layer sees the one below.

    Args:
        inputs: (x, observed) -> features.
        encoders: q(z_1 | features), then q(z_{l+1} | z_l).
        sizes: variables of each layer, that nearest the data first, as in `LayeredPrior`.

    Raises:
        OptionError: there are not as many encoders as layers.

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016), section 2
    """

    def __init__(
        self, inputs: nn.Module, encoders: Sequence[Conditional], sizes: Sequence[int]
    ) -> None:
        super().__init__()
        if len(encoders) != len(sizes) or not sizes:
            raise OptionError(
                f"expected an encoder for each layer, got {len(encoders)} for {len(sizes)} layers"
            )
        self.inputs = inputs
        self.encoders = nn.ModuleList(encoders)
        self.sizes = tuple(sizes)

    @property
    def reparameterized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Where all encoders are, as far as they tell (`draws_pass_gradients`)."""
        return all(draws_pass_gradients(encoder) for encoder in self.encoders)

    def distribution(self, model: LatentVariableModel, batch: Batch) -> Chain:
        """q(z | x)."""
        del model
        features = self.inputs(batch.x, batch.observed)
        first = self.encoders[0](features)
        factors = [lambda _: first]
        factors += [self.encoders[i] for i in range(1, len(self.sizes))]
        return Chain(factors, self.sizes, range(len(self.sizes)), first.batch_shape)


class Ladder(_Chained):
    r"""Top-down inference that corrects the model's own top-down conditionals.

    A deterministic upward pass d_1 = f_1(x), d_l = f_l(d_{l-1}) gives evidence
    :math:`N(\hat\mu_l, \hat\sigma_l^2)` on each layer. The top layer is drawn from it; every layer
    below from its product with the model's :math:`p(z_l | z_{l+1}) = N(\mu_p, \sigma_p^2)`:

    .. math:: \sigma_q^{-2} = \hat\sigma^{-2} + \sigma_p^{-2}, \quad
              \mu_q = \sigma_q^2 (\hat\mu \hat\sigma^{-2} + \mu_p \sigma_p^{-2})

    The conditionals are those of the model that it is handed, and are trained with it; without
    evidence a layer is drawn from its prior and costs nothing. So gradients of q reach weights of
    p, as they should; estimators that train p and q on different bounds take those weights for
    the model's.

    Args:
        inputs: (x, observed) -> features.
        upward: f_1, ..., f_n, deterministic.
        evidence: d_l -> mean and log-scale, [..., 2 L_l], of each layer.
        sizes: variables of each layer, that nearest the data first, as in `LayeredPrior`.

    Raises:
        OptionError: there are not as many networks as layers.

    References:
        | Ladder Variational Autoencoders (Sonderby et al., 2016), equations 18 and 19
    """

    def __init__(
        self,
        inputs: nn.Module,
        upward: Sequence[nn.Module],
        evidence: Sequence[nn.Module],
        sizes: Sequence[int],
    ) -> None:
        super().__init__()
        if not len(upward) == len(evidence) == len(sizes) > 0:
            raise OptionError(
                f"expected an upward network and a layer of evidence for each of {len(sizes)} "
                f"layers, got {len(upward)} and {len(evidence)}"
            )
        self.inputs = inputs
        self.upward = nn.ModuleList(upward)
        self.evidence = nn.ModuleList(evidence)
        self.sizes = tuple(sizes)

    def distribution(self, model: LatentVariableModel, batch: Batch) -> Chain:
        """q(z | x).

        Raises:
            IncompatibleChoices: the model's prior has no such layers.
        """
        prior = model.prior
        if not isinstance(prior, LayeredPrior) or prior.sizes != self.sizes:
            sizes = getattr(prior, "sizes", None)
            raise IncompatibleChoices(
                f"expected a model with a LayeredPrior of sizes {self.sizes}, got "
                f"{type(prior).__name__}{'' if sizes is None else f' of sizes {sizes}'}",
                hint="top-down inference goes through the model's own layers",
            )
        d = self.inputs(batch.x, batch.observed)
        found = []
        for up, read in zip(self.upward, self.evidence, strict=True):
            d = up(d)
            loc, log_scale = at_least_float32(read(d)).chunk(2, -1)
            found.append(DiagonalNormal(loc, log_scale.clamp(_MIN_LOG_SCALE, _MAX_LOG_SCALE)))
        top = len(self.sizes) - 1
        factors: list[Callable[[Tensor | None], Distribution]] = [lambda _: found[top]]
        factors += [partial(_corrected, prior, i, found[i]) for i in reversed(range(top))]
        return Chain(factors, self.sizes, range(top, -1, -1), found[top].batch_shape)


def _corrected(
    prior: LayeredPrior, layer: int, evidence: DiagonalNormal, above: Tensor | None
) -> DiagonalNormal:
    """The product of p(z_l | z_{l+1}) and the evidence."""
    assert above is not None
    p = prior.given(layer, above)
    if not isinstance(p, DiagonalNormal):
        raise IncompatibleChoices(
            f"expected layers that are diagonal Gaussians given those above, got "
            f"{type(p).__name__}",
            hint="use bottom-up inference for other layers",
        )
    # log(1 / s_q^2) = log(1 / s^2 + 1 / s_p^2), and the weight of the evidence is its share
    both = torch.stack(torch.broadcast_tensors(-2 * evidence.log_scale, -2 * p.log_scale))
    share = (both[0] - both[1]).sigmoid()
    return DiagonalNormal(p.loc + share * (evidence.loc - p.loc), -0.5 * both.logsumexp(0))
