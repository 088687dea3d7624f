"""Small latent-variable models of every kind, with random weights, that bits-back is tested on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ancestral.core import Batch, Kind, Specification
from ancestral.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    HeadDistribution,
    OneHot,
    SiteMixture,
    site_head,
)
from ancestral.flows import (
    FlowConditional,
    InverseAutoregressive,
    MaskedAutoregressive,
    Planar,
)
from ancestral.inference.posteriors import (
    Amortized,
    BottomUp,
    DiscretePosterior,
    Ladder,
    ParametricPosterior,
    Posterior,
)
from ancestral.models import (
    AutoregressiveLikelihood,
    AutoregressiveModel,
    AutoregressivePrior,
    DiagonalGaussian,
    FirstLayer,
    FreePrior,
    FullGaussian,
    LatentConditional,
    LatentVariableModel,
    LayeredPrior,
    MixtureOfGaussians,
    MixturePrior,
    NetworkConditional,
    StandardNormalPrior,
    VampPrior,
)
from ancestral.networks import InputFeatures
from ancestral.networks.causal import LinearCausal, Plain

CELLS = 12
L = 3
SPEC = Specification(Kind.BINARY, (CELLS,))

Pair = tuple[LatentVariableModel, Posterior]


def _wide(sizes: tuple[int, int], scale: float = 1.0) -> nn.Sequential:
    """A network whose outputs vary from row to row."""
    network = nn.Sequential(nn.Linear(sizes[0], 16), nn.Tanh(), nn.Linear(16, sizes[1]))
    with torch.no_grad():
        network[2].weight.mul_(4 * scale)
    return network


def _gaussian(size_in: int, size_out: int, log_scale: float = -1.5) -> DiagonalGaussian:
    network = _wide((size_in, 2 * size_out))
    with torch.no_grad():
        network[2].weight[size_out:] *= 0.1
        network[2].bias[size_out:] += log_scale
    return DiagonalGaussian(network)


def decoder(latent_size: int = L) -> NetworkConditional:
    return NetworkConditional(_wide((latent_size, CELLS), 1.5), Bernoulli((CELLS,)))


def encoder(latent_size: int = L) -> Amortized:
    return Amortized(InputFeatures(SPEC), _gaussian(CELLS, latent_size))


def _diagonal() -> Pair:
    return LatentVariableModel(StandardNormalPrior(L), decoder()), encoder()


def _full() -> Pair:
    size = FullGaussian.num_outputs(L)
    q = Amortized(InputFeatures(SPEC), FullGaussian(_wide((CELLS, size), 0.3), L))
    return LatentVariableModel(StandardNormalPrior(L), decoder()), q


def _mixture_posterior() -> Pair:
    size = MixtureOfGaussians.num_outputs(L, 3)
    q = Amortized(InputFeatures(SPEC), MixtureOfGaussians(_wide((CELLS, size), 0.3), L, 3))
    return LatentVariableModel(StandardNormalPrior(L), decoder()), q


def _layers(posterior: Callable[[], Posterior]) -> Pair:
    sizes = (L, 2)
    prior = LayeredPrior(StandardNormalPrior(2), [_gaussian(2, L, 0.0)], sizes)
    likelihood = NetworkConditional(FirstLayer(_wide((L, CELLS), 1.5), L), Bernoulli((CELLS,)))
    return LatentVariableModel(prior, likelihood), posterior()


def _bottom_up() -> Pair:
    sizes = (L, 2)
    return _layers(
        lambda: BottomUp(InputFeatures(SPEC), [_gaussian(CELLS, L), _gaussian(L, 2)], sizes)
    )


def _ladder() -> Pair:
    return _layers(
        lambda: Ladder(
            InputFeatures(SPEC),
            [nn.Linear(CELLS, 8), nn.Linear(8, 8)],
            [nn.Linear(8, 2 * L), nn.Linear(8, 4)],
            (L, 2),
        )
    )


def _vamp() -> Pair:
    q = Amortized(InputFeatures(SPEC), _gaussian(CELLS, L, -0.5))
    assert isinstance(q.inputs, InputFeatures)
    prior = VampPrior(q.inputs, q.encoder, q.inputs.output_shape, 5)
    return LatentVariableModel(prior, decoder()), q


def _flow_prior(steps: int) -> Callable[[], Pair]:
    def pair() -> Pair:
        flow = MaskedAutoregressive(L, steps, hidden_sizes=(8,))
        for network in flow.networks:
            for parameter in network.parameters():
                nn.init.normal_(parameter, std=0.3)
        prior = FlowConditional(StandardNormalPrior(L), flow)
        return LatentVariableModel(prior, decoder()), encoder()

    return pair


def _flow_posterior(flow: nn.Module) -> Pair:
    for parameter in flow.parameters():
        nn.init.normal_(parameter, std=0.3)
    q = Amortized(
        InputFeatures(SPEC),
        FlowConditional(_gaussian(CELLS, L), flow),  # type: ignore[arg-type]
    )
    q.encoder.network = None
    return LatentVariableModel(StandardNormalPrior(L), decoder()), q


def _sequential() -> Pair:
    network = LinearCausal(CELLS, 1, Plain(), context_size=4)
    nn.init.normal_(network.weight, std=0.5)
    inner = AutoregressiveModel(network, site_head(Bernoulli((CELLS,)), CELLS), (CELLS,))
    likelihood = AutoregressiveLikelihood(inner, _wide((L, 4)))
    return LatentVariableModel(StandardNormalPrior(L), likelihood), encoder()


def _belief_net() -> Pair:
    def layer(size_in: int, size_out: int) -> LatentConditional:
        return LatentConditional(_wide((size_in, size_out)), Bernoulli((size_out,)))

    prior = LayeredPrior(FreePrior(Bernoulli((2,))), [layer(2, 5)], (5, 2))
    likelihood = NetworkConditional(FirstLayer(_wide((5, CELLS)), 5), Bernoulli((CELLS,)))
    q = DiscretePosterior(InputFeatures(SPEC), [layer(CELLS, 5), layer(5, 2)])
    return LatentVariableModel(prior, likelihood), q


def _levels() -> Pair:
    return _ordered(DiscretizedLogistic((CELLS,), 11))


def _mixed_levels() -> Pair:
    return _ordered(SiteMixture(DiscretizedLogistic((CELLS,), 11), 2))


def _categories() -> Pair:
    return _ordered(Categorical((CELLS,), 11))


def _ordered(head) -> Pair:
    likelihood = NetworkConditional(_wide((L, head.num_features), 0.3), head)
    q = Amortized(InputFeatures(SPEC), _gaussian(CELLS, L))
    return LatentVariableModel(StandardNormalPrior(L), likelihood), q


MODELS: dict[str, Callable[[], Pair]] = {
    "diagonal": _diagonal,
    "full": _full,
    "mixture posterior": _mixture_posterior,
    "bottom up": _bottom_up,
    "ladder": _ladder,
    "mixture prior": lambda: (LatentVariableModel(MixturePrior(L, 4), decoder()), encoder()),
    "vamp prior": _vamp,
    "autoregressive prior": lambda: (
        LatentVariableModel(AutoregressivePrior(L, hidden_sizes=(8,)), decoder()),
        encoder(),
    ),
    "prior by one flow": _flow_prior(1),
    "prior by two flows": _flow_prior(2),
    "prior by three flows": _flow_prior(3),
    "planar posterior": lambda: _flow_posterior(Planar(L, 2)),
    "inverse autoregressive posterior": lambda: _flow_posterior(
        InverseAutoregressive(L, 2, hidden_sizes=(8,))
    ),
    "autoregressive decoder": _sequential,
    "belief net": _belief_net,
    "levels": _levels,
    "mixed levels": _mixed_levels,
    "categories": _categories,
}
MATCHED = ("prior by three flows", "planar posterior", "inverse autoregressive posterior")
"""Those whose q is no product of factors, so that a Gaussian of the same moments stands for it."""


def made(name: str) -> Pair:
    """A model and a posterior, in evaluation mode, the same at each call."""
    torch.manual_seed(1)
    model, posterior = MODELS[name]()
    return model.eval(), posterior.eval()


def specification(name: str) -> Specification:
    if name in ("levels", "mixed levels", "categories"):
        kind = Kind.CATEGORICAL if name == "categories" else Kind.LEVELS
        return Specification(kind, (CELLS,), num_levels=11)
    return SPEC


class EnumeratedPosterior(ParametricPosterior):
    """P(z | x) of a single categorical variable, by Bayes' rule."""

    def distribution(self, model: LatentVariableModel, batch: Batch) -> HeadDistribution:
        states = torch.eye(model.prior().event_shape[0]).to(batch.x)
        joint = model.log_joint(batch.x, states.unsqueeze(1).expand(-1, len(batch), -1))
        levels = len(states)
        return HeadDistribution(OneHot((levels,), levels), joint.T)


def one_of_eight() -> Pair:
    """z is one of eight states: the exact posterior is known."""
    torch.manual_seed(2)
    prior = FreePrior(OneHot((8,), 8))
    with torch.no_grad():
        prior.features.normal_()
    likelihood = NetworkConditional(nn.Linear(8, CELLS), Bernoulli((CELLS,)))
    with torch.no_grad():
        likelihood.network.weight.mul_(8)
    return LatentVariableModel(prior, likelihood).eval(), EnumeratedPosterior().eval()
