"""Sigmoid belief networks: binary latent variables in layers."""

from __future__ import annotations

from ancestral.core import OptionError, Specification
from ancestral.distributions import Bernoulli
from ancestral.estimator import Assembly
from ancestral.inference.bounds import Bound, Elbo, ImportanceWeighted
from ancestral.inference.gradients import (
    Concrete,
    GradientEstimator,
    InputDependent,
    LayerSignals,
    LeaveOneOut,
    MuProp,
    Rebar,
    Relax,
    RunningMean,
    ScoreFunction,
    StraightThrough,
    VarianceNormalization,
    Vimco,
)
from ancestral.inference.objectives import Variational
from ancestral.inference.posteriors import DiscretePosterior
from ancestral.models import (
    FirstLayer,
    FreePrior,
    LatentConditional,
    LatentVariableModel,
    LayeredPrior,
    NetworkConditional,
    Units,
)
from ancestral.networks import DenseNetwork, InputFeatures
from ancestral.recipes.parts import head_for, reading

__all__ = ["sigmoid_belief_net"]

_COMPARING = ("vimco", "leave-one-out")
_BASELINE_SIZE = 100  # Mnih & Gregor (2014), section 4.1


def sigmoid_belief_net(
    spec: Specification,
    *,
    layers: str = "200,200",
    num_hidden_layers: int = 0,
    hidden_size: int = 200,
    gradient: str = "vimco",
    num_samples: int = 10,
    temperature: float = 0.5,
    likelihood: str = "auto",
) -> Assembly:
    """Deep sigmoid belief network (Neal, 1992; Mnih & Gregor, 2014; Gan et al., 2015).

    Args:
        spec: what the data are.
        layers: units of each layer of binary latent variables, that nearest the data first.
        num_hidden_layers: deterministic layers between stochastic ones; 0: logistic regressions.
        hidden_size: width of the deterministic layers.
        gradient: vimco, leave-one-out, nvil, running-mean, muprop, rebar, relax, concrete,
            straight-through, or reinforce without any control variate.
        num_samples: of z for each row and step; vimco's bound grows tighter with them.
        temperature: of concrete and straight-through, and where rebar and relax start.
        likelihood: p(x | z) by name; auto: by the kind of the data.
    """
    if not 0 < temperature < float("inf"):
        raise OptionError(
            f"expected temperature above 0, got {temperature}",
            hint="leave out --temperature for the recipe's own choice",
        )
    sizes = _sizes(layers)
    hidden = (hidden_size,) * num_hidden_layers
    below, above = sizes[:-1], sizes[1:]
    head = head_for(spec, likelihood)
    inputs = InputFeatures(spec)
    decoder = FirstLayer(DenseNetwork(sizes[0], hidden, head.num_features), sizes[0])
    prior = LayeredPrior(
        FreePrior(Bernoulli((sizes[-1],))),
        [_layer(DenseNetwork(b, hidden, a), a) for a, b in zip(below, above, strict=True)],
        sizes,
    )
    encoder = reading(inputs, DenseNetwork(inputs.num_outputs, hidden, sizes[0]))
    first = LatentConditional(encoder, Bernoulli((sizes[0],)))
    others = [_layer(DenseNetwork(a, hidden, b), b) for a, b in zip(below, above, strict=True)]
    return Assembly(
        LatentVariableModel(prior, NetworkConditional(decoder, head, Units(spec))),
        Variational(*_bound_and_gradient(spec, gradient, num_samples, temperature, sizes)),
        DiscretePosterior(inputs, [first, *others]),
    )


def _layer(network: DenseNetwork, size: int) -> LatentConditional:
    return LatentConditional(network, Bernoulli((size,)))


def _sizes(layers: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in str(layers).split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise OptionError(
            f"expected layers as numbers of units, got {layers!r}",
            hint="200 for one layer, 200,200 for two, that nearest the data first",
        )
    return sizes


def _bound_and_gradient(
    spec: Specification, name: str, num_samples: int, temperature: float, sizes: tuple[int, ...]
) -> tuple[Bound, GradientEstimator]:
    elbo = Elbo(num_samples)
    choices = {
        "vimco": lambda: (ImportanceWeighted(num_samples), Vimco()),
        "leave-one-out": lambda: (elbo, ScoreFunction(LeaveOneOut())),
        "nvil": lambda: (elbo, _nvil(spec, sizes)),
        "running-mean": lambda: (elbo, ScoreFunction(RunningMean())),
        "muprop": lambda: (elbo, MuProp()),
        "rebar": lambda: (elbo, Rebar(temperature)),
        "relax": lambda: (elbo, Relax(sizes, temperature=temperature)),
        "concrete": lambda: (elbo, Concrete(temperature)),
        "straight-through": lambda: (elbo, StraightThrough(temperature)),
        "reinforce": lambda: (elbo, ScoreFunction()),
    }
    if name not in choices:
        raise OptionError(
            f"expected gradient to be one of {', '.join(choices)}, got {name!r}",
            hint="vimco is best in general; reinforce shows why the others exist",
        )
    if name in _COMPARING and num_samples < 2:
        raise OptionError(
            f"expected num_samples of at least 2 for gradient {name}, which compares the samples "
            f"of a row with each other, got {num_samples}",
            hint="use --num-samples 10, or --gradient running-mean, which needs a single one",
        )
    return choices[name]()


def _nvil(spec: Specification, sizes: tuple[int, ...]) -> ScoreFunction:
    """Learning signals by layer, with a baseline network each, normalised."""
    inputs = InputFeatures(spec)
    first = reading(inputs, DenseNetwork(inputs.num_outputs, (_BASELINE_SIZE,), 1))
    others = [DenseNetwork(size, (_BASELINE_SIZE,), 1) for size in sizes[:-1]]
    return ScoreFunction(
        InputDependent(inputs, [first, *others]),
        VarianceNormalization(num_layers=len(sizes)),
        LayerSignals(),
    )
