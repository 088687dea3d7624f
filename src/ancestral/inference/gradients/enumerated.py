"""The exact gradient, where z has few values."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.core import Batch, IncompatibleChoices, OptionError
from ancestral.inference.bounds import Bound, Elbo, reported
from ancestral.inference.gradients.discrete_draws import check_discrete
from ancestral.inference.gradients.estimator import KlPenalty, Surrogate
from ancestral.inference.gradients.log_weights import LogWeights, refuse_free_nats
from ancestral.inference.gradients.path_only import check_parametric
from ancestral.inference.gradients.pathwise import check_maximised
from ancestral.inference.posteriors import ParametricPosterior, Posterior, discrete_layers
from ancestral.models import LatentVariableModel

__all__ = ["Enumerated"]


@dataclass(frozen=True)
class Enumerated:
    r"""Sum over all values of z: the bound itself and its gradient, without noise.

    .. math:: \nabla \sum_z q(z \mid x) \log \frac{p(x, z)}{q(z \mid x)}, \qquad
              \nabla \sum_{z_1, \ldots, z_K} \prod_k q(z_k \mid x) \, L(\log w_1, \ldots, \log w_K)

    the first for the ELBO, whatever its number of samples; the second for other bounds, over all
    K-tuples.

    Args:
        max_states: values of z, or tuples of them, above which it refuses.

    Cost:
        A pass through the decoder for every value of z and every row at once.

    References:
        | Local Expectation Gradients for Black Box Variational Inference (Titsias &
        | Lázaro-Gredilla, 2015), of which this is the case of one block
    """

    max_states: int = 65_536

    def __post_init__(self) -> None:
        if self.max_states < 2:
            raise OptionError(f"expected max_states of at least 2, got {self.max_states}")

    def check(self, bound: Bound, model: LatentVariableModel, posterior: Posterior) -> None:
        """Refuse continuous posteriors, and upper bounds."""
        del model
        check_discrete(self, bound, posterior)
        check_parametric(self, bound, posterior)
        check_maximised(self, bound, posterior)

    def surrogate(
        self,
        bound: Bound,
        model: LatentVariableModel,
        posterior: Posterior,
        batch: Batch,
        penalty: KlPenalty,
    ) -> Surrogate:
        """Minus the exact bound.

        Raises:
            IncompatibleChoices: there are more than `max_states` values or tuples.
        """
        assert isinstance(posterior, ParametricPosterior)  # `check` has seen to it
        refuse_free_nats(self, penalty)
        q = discrete_layers(posterior.distribution(model, batch), "Enumerated")
        power = 1 if isinstance(bound, Elbo) else bound.num_samples
        self._refuse_many(q.num_states, power)
        states = q.enumerate_support()  # [states, batch, L]
        terms = LogWeights.of(model, batch, states, q.log_prob(states))
        probability = terms.log_q.exp()
        exact = _expected(bound, terms.weighted(penalty), terms.log_q, power)
        with torch.no_grad():
            log_ratio = terms.log_prior - terms.log_q
            truth = _expected(
                bound, terms.log_likelihood + log_ratio, terms.log_q, power, as_reported=True
            )
            reconstruction = (probability * terms.log_likelihood).sum(0)
            kl = -(probability * log_ratio).sum(0)
        return Surrogate(-exact.mean(), truth, reconstruction, kl)

    def _refuse_many(self, num_states: int, power: int) -> None:
        if num_states**power > self.max_states:
            what = "values of z" if power == 1 else f"{power}-tuples of values of z"
            raise IncompatibleChoices(
                f"expected at most {self.max_states:,} {what} to sum over, got "
                f"{num_states}{'' if power == 1 else f'^{power}'} = {num_states**power:,}",
                hint="use Vimco() with ImportanceWeighted, or ScoreFunction(LeaveOneOut()) with "
                "the Elbo; or raise max_states, if the memory allows it",
            )


def _expected(
    bound: Bound, log_w: Tensor, log_q: Tensor, power: int, *, as_reported: bool = False
) -> Tensor:
    """E[bound] over tuples of states, [batch].

    Args:
        bound: of log-weights.
        log_w: [states, batch].
        log_q: [states, batch].
        power: length of a tuple.
        as_reported: the bound to log, rather than the one to train.
    """
    if isinstance(bound, Elbo):
        return (log_q.exp() * log_w).sum(0)
    num_states, num_rows = log_w.shape
    tuples = torch.tensor(
        list(itertools.product(range(num_states), repeat=power)), device=log_w.device
    ).T  # [power, tuples]
    of_tuples = log_w[tuples].flatten(1)
    values = reported(bound, of_tuples) if as_reported else bound(of_tuples)
    probability = log_q[tuples].sum(0).exp()
    return (probability * values.reshape(-1, num_rows)).sum(0)
