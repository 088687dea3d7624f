"""Mixtures as priors: of learnt Gaussians, or of posteriors at learnt pseudo-inputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ancestral.core import Conditional, DataDependent, IncompatibleChoices, OptionError
from ancestral.core.freezing import Borrows
from ancestral.distributions import DiagonalNormal, NormalMixture

__all__ = ["MixturePrior", "VampPrior"]

_MIN_LOG_SCALE, _MAX_LOG_SCALE = -7.0, 7.0  # as of Gaussian encoders
_JITTER = 0.01  # of pseudo-inputs that start at the same row


class MixturePrior(Conditional):
    r"""p(z) = \sum_k w_k N(z; m_k, diag(s_k^2)), with weights, means and scales learnt.

    Starts as K Gaussians of unit scale around draws from N(0, I), so about N(0, 2 I).

    Args:
        num_dims: latent variables L.
        num_components: K.

    Example:
        >>> prior = MixturePrior(2, num_components=5)
        >>> prior().sample((3, 4)).shape
        torch.Size([3, 4, 2])
    """

    def __init__(self, num_dims: int, num_components: int) -> None:
        super().__init__()
        if num_components < 1:
            raise OptionError(f"expected at least 1 component, got {num_components}")
        self.logits = nn.Parameter(torch.zeros(num_components))
        self.loc = nn.Parameter(torch.randn(num_components, num_dims))
        self.log_scale = nn.Parameter(torch.zeros(num_components, num_dims))

    def forward(self, context: Tensor | None = None) -> NormalMixture:
        """p(z), with an empty batch shape."""
        log_scale = self.log_scale.clamp(_MIN_LOG_SCALE, _MAX_LOG_SCALE)
        return NormalMixture(self.logits, self.loc, log_scale)


class VampPrior(Conditional, DataDependent, Borrows):
    r"""p(z) = \frac{1}{K} \sum_k q(z | u_k): the posteriors of K pseudo-inputs that are learnt.

    The best prior for the ELBO is the mixture of the posteriors of all training rows; this is its
    stand-in. Samples come from components drawn uniformly, and from nothing else.

    p and q share the encoder. Its weights are q's: they are registered with the posterior, and
    here the encoder is only looked at, so that each weight is trained, saved and moved once; a
    gradient through p(z) reaches it all the same. A copy of the model needs a copy of the
    posterior made along with it.

    Pseudo-inputs live among the encoder's input features, where every kind of data is made of
    real numbers, and start at training rows. A batch costs a pass of the encoder over K more rows.

    Args:
        inputs: (x, observed) -> features [..., *feature_shape], of the posterior.
        encoder: features -> q(z | x), a diagonal Gaussian, of the posterior.
        feature_shape: of one row's features.
        num_components: K.

    References:
        | VAE with a VampPrior (Tomczak & Welling, 2018), equation 9
        | https://arxiv.org/abs/1705.07120
    """

    def __init__(
        self,
        inputs: nn.Module,
        encoder: Conditional,
        feature_shape: tuple[int, ...],
        num_components: int,
    ) -> None:
        super().__init__()
        if num_components < 1:
            raise OptionError(f"expected at least 1 component, got {num_components}")
        # in a tuple, a module is not registered
        self._shared = (inputs, encoder)
        self.pseudo_inputs = nn.Parameter(torch.randn(num_components, *feature_shape))

    @property
    def encoder(self) -> Conditional:
        """The posterior's."""
        return self._shared[1]

    @property
    def borrowed(self) -> tuple[nn.Module, ...]:
        """The encoder and its inputs: frozen, and put into evaluation mode, along with p."""
        return self._shared

    def initialize(self, x: Tensor, observed: Tensor | None = None) -> None:
        """Pseudo-inputs start at training rows, evenly spaced; the encoder's inputs come first.

        With fewer rows than components rows are taken several times, with a little noise.
        """
        inputs, _ = self._shared
        count = len(self.pseudo_inputs)
        rows = torch.arange(count, device=x.device) * max(1, len(x) // count) % len(x)
        with torch.no_grad():
            found = inputs(x[rows], None if observed is None else observed[rows])
            noise = torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
            self.pseudo_inputs.copy_(found + _JITTER * noise.to(found))

    def forward(self, context: Tensor | None = None) -> NormalMixture:
        """p(z), with an empty batch shape.

        Raises:
            IncompatibleChoices: the encoder's distribution is no diagonal Gaussian.
        """
        q = self.encoder(self.pseudo_inputs)
        if not isinstance(q, DiagonalNormal):
            raise IncompatibleChoices(
                f"a VampPrior is a mixture of diagonal Gaussians, and its encoder gives "
                f"{type(q).__name__}",
                hint="use a diagonal Gaussian posterior, or MixturePrior",
            )
        return NormalMixture(q.loc.new_zeros(len(q.loc)), q.loc, q.log_scale)
