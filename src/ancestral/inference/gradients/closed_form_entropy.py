"""The third form of the ELBO: energy plus entropy."""

from __future__ import annotations

from dataclasses import dataclass

from ancestral.core import Batch, IncompatibleChoices
from ancestral.inference.bounds import Bound, Elbo
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.pathwise import check_reparameterized, reparameterized_draws
from ancestral.inference.posteriors import ParametricPosterior, Posterior
from ancestral.models import LatentVariableModel

__all__ = ["PathwiseClosedFormEntropy"]


@dataclass(frozen=True)
class PathwiseClosedFormEntropy:
    r"""Differentiate E_q log p(x, z) through z, and the entropy of q in closed form.

    .. math:: \nabla \Big( \frac{1}{K} \sum_k \log p(x, z_k) + H(q(z \mid x)) \Big)

    Between `Pathwise`, for which log q is a Monte Carlo term, and `PathwiseClosedFormKl`, for
    which log p(z) is in closed form, too: for priors whose KL from q is not known, such as
    mixtures, with a q whose entropy is. For the ELBO only.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014), equation 2
        | Stochastic Variational Inference (Hoffman et al., 2013), equation 3
    """

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse bounds other than the ELBO, and posteriors that are mere samplers."""
        del model
        check_reparameterized(self, bound, posterior)
        if not isinstance(bound, Elbo):
            raise IncompatibleChoices(
                f"PathwiseClosedFormEntropy needs the Elbo, got {bound}",
                hint="use Pathwise(), which differentiates every bound",
            )
        if not isinstance(posterior, ParametricPosterior):
            raise IncompatibleChoices(
                "PathwiseClosedFormEntropy needs a posterior that is a distribution, got "
                f"{type(posterior).__name__}",
                hint="use Pathwise(), which only needs samples",
            )

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus energy and entropy, of which all but log p(x | z) is weighted as asked."""
        assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
        if penalty.free_nats:
            raise IncompatibleChoices(
                "free bits need a KL term for each latent dimension; PathwiseClosedFormEntropy "
                "has only the entropy of q",
                hint="use PathwiseClosedFormKl, or no free bits",
            )
        q = posterior.distribution(model, batch)
        try:
            entropy = q.entropy()
        except NotImplementedError:
            raise IncompatibleChoices(
                f"no closed-form entropy of {type(q).__name__} is known",
                hint="use Pathwise(), which estimates it from samples",
            ) from None
        z = reparameterized_draws(self, bound, posterior, q)
        reconstruction = model.log_likelihood(batch.x, z, batch.observed).mean(0)
        kl = -(model.log_prior(z).mean(0) + entropy)
        loss = (penalty.weight * kl - reconstruction).mean()
        kl, reconstruction = kl.detach(), reconstruction.detach()
        return Surrogate(loss, reconstruction - kl, reconstruction, kl)
