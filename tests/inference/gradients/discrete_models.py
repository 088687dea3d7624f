"""Small models with discrete latent variables, whose bounds are summed by hand."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Categorical as TorchCategorical

from ancestral.core import Batch, Kind, Specification
from ancestral.distributions import Bernoulli, OneHot
from ancestral.inference.gradients import KlPenalty
from ancestral.inference.posteriors import DiscretePosterior
from ancestral.models import (
    FirstLayer,
    FreePrior,
    LatentConditional,
    LatentVariableModel,
    LayeredPrior,
    NetworkConditional,
)
from ancestral.networks import InputFeatures

NUM_CELLS = 3
NO_PENALTY = KlPenalty()


class Problem(NamedTuple):
    model: LatentVariableModel
    posterior: DiscretePosterior
    batch: Batch

    def repeated(self, copies: int) -> Problem:
        """The same rows several times: the same mean gradient, from more draws at once."""
        x, observed = self.batch.x, self.batch.observed
        return self._replace(batch=Batch(x.repeat(copies, 1), observed.repeat(copies, 1)))

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [*self.model.parameters(), *self.posterior.parameters()]


def a_linear(size_in: int, size_out: int) -> nn.Linear:
    layer = nn.Linear(size_in, size_out)
    nn.init.normal_(layer.weight, std=0.8)
    nn.init.normal_(layer.bias, std=0.5)
    return layer


def a_batch() -> Batch:
    """Three rows of three bits; two cells are missing."""
    x = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    observed = torch.tensor([[True, True, True], [True, False, True], [True, True, False]])
    return Batch(x * observed, observed)


def a_problem(heads: tuple, seed: int = 0) -> Problem:
    """p(x | z_1) p(z_1 | z_2) ... with free top, q(z_1 | x) q(z_2 | z_1) ..., all linear."""
    torch.manual_seed(seed)
    sizes = [head.event_shape[0] for head in heads]
    top = FreePrior(heads[-1])
    nn.init.normal_(top.features, std=0.7)
    between = [
        LatentConditional(a_linear(sizes[i + 1], sizes[i]), heads[i])
        for i in range(len(sizes) - 1)
    ]
    prior = LayeredPrior(top, between, sizes)
    decoder = FirstLayer(a_linear(sizes[0], NUM_CELLS), sizes[0])
    model = LatentVariableModel(prior, NetworkConditional(decoder, Bernoulli((NUM_CELLS,))))
    inputs = InputFeatures(Specification(Kind.BINARY, (NUM_CELLS,), missing=True))
    layers = [LatentConditional(a_linear(inputs.num_outputs, sizes[0]), heads[0])]
    layers += [
        LatentConditional(a_linear(sizes[i], sizes[i + 1]), heads[i + 1])
        for i in range(len(sizes) - 1)
    ]
    return Problem(model, DiscretePosterior(inputs, layers), a_batch())


PROBLEMS = {
    "one layer": (Bernoulli((3,)),),
    "two layers": (Bernoulli((2,)), Bernoulli((2,))),
    "categorical": (OneHot((3,), 3),),
    "categorical over binary": (Bernoulli((2,)), OneHot((3,), 3)),
}


def values_of(head) -> Tensor:
    if isinstance(head, Bernoulli):
        return torch.tensor(list(itertools.product([0.0, 1.0], repeat=head.event_shape[0])))
    num_variables = head.event_shape[0] // head.num_levels
    rows = itertools.product(range(head.num_levels), repeat=num_variables)
    return torch.stack([torch.eye(head.num_levels)[list(row)].flatten() for row in rows])


def log_mass(head, logits: Tensor, z: Tensor) -> Tensor:
    """Log p(z) with torch's own distributions."""
    if isinstance(head, Bernoulli):
        return TorchBernoulli(logits=logits).log_prob(z).sum(-1)
    blocks = logits.unflatten(-1, (-1, head.num_levels))
    codes = z.unflatten(-1, (-1, head.num_levels)).argmax(-1)
    return TorchCategorical(logits=blocks).log_prob(codes).sum(-1)


def enumerated(problem: Problem, weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """Log-weights and log q of all z, [states, batch], from the linear maps alone."""
    model, posterior, batch = problem
    heads = posterior.heads
    features = posterior.inputs(batch.x, batch.observed)
    log_ws, log_qs = [], []
    for layers in itertools.product(*[values_of(head) for head in heads]):
        log_q = log_mass(heads[0], posterior.layers[0].network(features), layers[0])
        for i in range(1, len(heads)):
            log_q = log_q + log_mass(
                heads[i], posterior.layers[i].network(layers[i - 1]), layers[i]
            )
        log_p = log_mass(heads[-1], model.prior.top.features.flatten(), layers[-1])
        for i in range(len(heads) - 1):
            logits = model.prior.conditionals[i].network(layers[i + 1])
            log_p = log_p + log_mass(heads[i], logits, layers[i])
        logits = model.likelihood.network.network(layers[0])
        cells = TorchBernoulli(logits=logits).log_prob(batch.x) * batch.observed
        log_ws.append(cells.sum(-1) + weight * (log_p - log_q))
        log_qs.append(log_q)
    return torch.stack(log_ws), torch.stack(log_qs)


def exact_bound(problem: Problem, bound, weight: float = 1.0) -> Tensor:
    """E[bound] of each row, over all K-tuples of z."""
    log_w, log_q = enumerated(problem, weight)
    tuples = itertools.product(range(len(log_w)), repeat=bound.num_samples)
    chosen = torch.tensor(list(tuples)).T  # [K, tuples]
    values = bound(log_w[chosen].flatten(1)).unflatten(0, (chosen.shape[1], -1))
    return (log_q[chosen].sum(0).exp() * values).sum(0)


def flat_gradient(loss: Tensor, parameters) -> Tensor:
    gradients = torch.autograd.grad(loss, list(parameters), materialize_grads=True)
    return torch.cat([g.flatten() for g in gradients])


def exact_gradient(problem: Problem, bound, weight: float = 1.0) -> Tensor:
    """Of the loss, over all parameters of model and posterior."""
    return -flat_gradient(exact_bound(problem, bound, weight).mean(), problem.parameters)


def many_gradients(estimator, bound, problem, repeats: int, penalty=NO_PENALTY) -> Tensor:
    """[repeats, parameters]."""
    model, posterior, batch = problem
    return torch.stack(
        [
            flat_gradient(
                estimator.surrogate(bound, model, posterior, batch, penalty).loss,
                [*model.parameters(), *posterior.parameters()],
            )
            for _ in range(repeats)
        ]
    )


def largest_z(gradients: Tensor, exact: Tensor) -> float:
    """The largest |z| over the parameters; those without noise must be exact."""
    std_error = gradients.std(0) / math.sqrt(len(gradients))
    difference = gradients.mean(0) - exact
    noisy = std_error > 1e-12
    assert bool((difference[~noisy].abs() < 1e-9).all())
    return float((difference[noisy] / std_error[noisy]).abs().max())
