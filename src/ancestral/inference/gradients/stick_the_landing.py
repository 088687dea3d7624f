"""Stick-the-landing: the pathwise gradient without its score term."""

from __future__ import annotations

from dataclasses import dataclass

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.bounds import Bound, Elbo
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.log_weights import LogWeights, refuse_free_nats
from ancestral.inference.gradients.path_only import check_parametric, log_prob_along_path
from ancestral.inference.gradients.pathwise import check_reparameterized, reparameterized_draws
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["StickTheLanding"]


@dataclass(frozen=True)
class StickTheLanding:
    r"""The path derivative: log q's parameters are held constant, and only z carries gradient.

    .. math:: \frac{1}{K} \sum_k \nabla_{z} \Big( \log p(x, z_k) - \log q(z_k \mid x) \Big)
              \nabla_\phi z_k

    What is left out, :math:`\nabla_\phi \log q(z \mid x)` at fixed z, has mean zero under q. As q
    approaches the posterior the gradient's variance goes to zero, which that of `Pathwise` does
    not. For the ELBO only: in other bounds the samples' weights depend on z, and what is left out
    has no mean of zero.

    Example:
        >>> from ancestral.inference.objectives import Variational
        >>> Variational(Elbo(), StickTheLanding()).gradient
        StickTheLanding()

    References:
        | Sticking the Landing (Roeder, Wu & Duvenaud, 2017), equation 7
    """

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse other bounds than the ELBO, and draws that pass no gradient."""
        del model
        check_reparameterized(self, bound, posterior)
        if not isinstance(bound, Elbo):
            raise IncompatibleChoices(
                f"StickTheLanding is right for the Elbo alone, got {bound}: in it the score term "
                "that is left out would not vanish in the mean",
                hint="use DoublyReparameterized() (DReG), which does the same for other bounds",
            )
        check_parametric(self, bound, posterior)

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the bound, with constant parameters in log q."""
        assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
        refuse_free_nats(self, penalty)
        q = posterior.distribution(model, batch)
        z = reparameterized_draws(self, bound, posterior, q)
        terms = LogWeights.of(model, batch, z, log_prob_along_path(q, z))
        return terms.surrogate(bound, -bound(terms.weighted(penalty)).mean())
