"""Models whose p(missing | observed) is known, and posteriors of every kind, most of them bad."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from ancestral.core import Batch, Kind, Specification
from ancestral.distributions import Bernoulli, Normal, OneHot
from ancestral.flows import FlowConditional, Planar
from ancestral.inference.posteriors import (
    Amortized,
    AuxiliaryVariables,
    DiscretePosterior,
    ExactPosterior,
    HamiltonianVariational,
    HmcRefined,
    ImportanceResampled,
    PerDatum,
    Refinement,
    RejectionSampled,
    SemiAmortized,
)
from ancestral.models import (
    DiagonalGaussian,
    FreePrior,
    FullGaussian,
    LatentConditional,
    LatentVariableModel,
    NetworkConditional,
    ProbabilisticPCA,
    StandardNormalPrior,
)
from ancestral.networks import DenseNetwork, InputFeatures

ROWS = 120  # with the same evidence: independent runs, whose spread is the standard error


def rows_of(x: Tensor, observed: Tensor) -> Batch:
    """The same row many times."""
    shape = (ROWS, *x.shape)
    return Batch(torch.where(observed, x, 0.0).expand(shape), observed.expand(shape))


def agree(values: Tensor, exact: Tensor) -> None:
    """Means of independent runs [rows, ...] within 4 standard errors of exact numbers [...]."""
    error = values.std(0) / len(values) ** 0.5
    off = (values.mean(0) - exact).abs()
    assert bool((off <= 4 * error + 1e-9).all()), (off / error.clamp_min(1e-12)).max()


# ---------------------------------------------------------------- discrete latent variables


def discrete_model(num_units: int = 3, num_cells: int = 5) -> LatentVariableModel:
    """Three binary units above five binary cells."""
    decoder = nn.Linear(num_units, num_cells)
    with torch.no_grad():
        decoder.weight.mul_(6.0)
    prior = FreePrior(Bernoulli((num_units,)))
    return LatentVariableModel(prior, NetworkConditional(decoder, Bernoulli((num_cells,))))


def discrete_posterior(num_units: int = 3, num_cells: int = 5) -> DiscretePosterior:
    """Of random weights: it knows nothing of the model."""
    inputs = InputFeatures(Specification(Kind.BINARY, (num_cells,)))
    network = nn.Linear(num_cells, num_units)
    with torch.no_grad():
        network.weight.mul_(3.0)
    return DiscretePosterior(inputs, [LatentConditional(network, Bernoulli((num_units,)))])


def one_hot_model() -> tuple[LatentVariableModel, DiscretePosterior]:
    """Two categorical units of three codes above five binary cells."""
    decoder = nn.Linear(6, 5)
    with torch.no_grad():
        decoder.weight.mul_(6.0)
    head = OneHot((6,), num_levels=3)
    model = LatentVariableModel(FreePrior(head), NetworkConditional(decoder, Bernoulli((5,))))
    inputs = InputFeatures(Specification(Kind.BINARY, (5,)))
    return model, DiscretePosterior(inputs, [LatentConditional(nn.Linear(5, 6), head)])


def states_of(num_units: int) -> Tensor:
    return torch.tensor(list(product((0.0, 1.0), repeat=num_units)))


def one_hot_states() -> Tensor:
    eye = torch.eye(3)
    return torch.cat((eye.repeat_interleave(3, 0), eye.repeat(3, 1)), 1)


def exact_joint(
    model: LatentVariableModel, latents: Tensor, x: Tensor, observed: Tensor
) -> Tensor:
    """P(missing cells = each of their 2^k states | observed), by enumeration."""
    gone = (~observed).nonzero().squeeze(1)
    cells = states_of(len(gone))
    rows = x.expand(len(cells), -1).clone()
    rows[:, gone] = cells
    with torch.no_grad():
        z = latents.unsqueeze(1).expand(-1, len(rows), -1)
        log_p = model.log_joint(rows, z).logsumexp(0)
    return log_p.softmax(0)


def joint_shares(samples: Tensor, weights: Tensor, observed: Tensor) -> Tensor:
    """Weighted shares of the states of the missing cells, [rows, 2^k]."""
    gone = (~observed).nonzero().squeeze(1)
    powers = 2 ** torch.arange(len(gone) - 1, -1, -1)
    codes = (samples[..., gone].long() * powers).sum(-1)
    shares = torch.nn.functional.one_hot(codes, 2 ** len(gone)).double()
    return (shares * weights.unsqueeze(-1)).sum(1)


# ---------------------------------------------------------------- linear Gaussian models


def gaussian_model() -> ProbabilisticPCA:
    model = ProbabilisticPCA((5,), 2)
    with torch.no_grad():
        model._linear.weight.copy_(torch.randn(5, 2) * torch.tensor([1.5, 0.7]))
        model._linear.bias.copy_(torch.randn(5))
        model._linear.log_noise_scale.fill_(-1.0)
    return model


def exact_conditional(
    model: ProbabilisticPCA, x: Tensor, observed: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the missing cells given the observed ones."""
    with torch.no_grad():
        covariance = model.weight @ model.weight.T + model.noise_scale.square() * torch.eye(len(x))
        loc = model.loc
        known, gone = observed.nonzero().squeeze(1), (~observed).nonzero().squeeze(1)
        gain = covariance[gone][:, known] @ torch.linalg.inv(covariance[known][:, known])
        mean = loc[gone] + gain @ (x[known] - loc[known])
        spread = covariance[gone][:, gone] - gain @ covariance[known][:, gone]
    MultivariateNormal(mean, spread)  # a covariance indeed
    return mean, spread


def curved_model() -> LatentVariableModel:
    """Two latent variables behind a bent decoder, three real cells."""
    decoder = DenseNetwork(2, (6,), 6)
    with torch.no_grad():
        for weight in decoder.parameters():
            weight.copy_(torch.randn_like(weight))
        decoder.output_layer.bias[3:] = -0.7  # log scales
        decoder.output_layer.weight[3:] = 0.0
    return LatentVariableModel(StandardNormalPrior(2), NetworkConditional(decoder, Normal((3,))))


def bent_encoder() -> Amortized:
    """Wide, somewhere near, and no posterior of anything."""
    network = DenseNetwork(3, (8,), 4)
    return Amortized(InputFeatures(Specification(Kind.REAL, (3,))), DiagonalGaussian(network))


@torch.no_grad()
def on_a_grid(
    model: LatentVariableModel, x: Tensor, observed: Tensor, power: int = 1
) -> tuple[Tensor, Tensor]:
    """E[missing cells ** power | observed] (1 or 2), and log p(observed), by sums over z."""
    axis = torch.linspace(-6, 6, 401)
    z = torch.cartesian_prod(axis, axis).unsqueeze(1)
    log_p = model.log_joint(torch.where(observed, x, 0.0)[None], z, observed[None]).squeeze(1)
    likelihood = model.likelihood
    assert isinstance(likelihood, NetworkConditional)
    features = likelihood.features(z.squeeze(1))
    loc, log_scale = features.unbind(-2)
    moment = loc if power == 1 else loc.square() + (2 * log_scale).exp()
    value = log_p.logsumexp(0) + 2 * (axis[1] - axis[0]).log()
    return (log_p.softmax(0) @ moment)[~observed], value


def _inputs() -> InputFeatures:
    return InputFeatures(Specification(Kind.REAL, (5,)))


def diagonal() -> Amortized:
    """Too narrow, in the wrong place, and blind to which cells are missing."""
    network = DenseNetwork(5, (8,), 4)
    with torch.no_grad():
        network.output_layer.bias.copy_(torch.tensor([0.8, -0.8, -1.5, -1.5]))
    return Amortized(_inputs(), DiagonalGaussian(network))


def narrow() -> Amortized:
    """Importance weights of it mean nothing: it never proposes what is likely."""
    network = DenseNetwork(5, (8,), 4)
    with torch.no_grad():
        network.output_layer.bias.copy_(torch.tensor([3.0, -3.0, -4.0, -4.0]))
    return Amortized(_inputs(), DiagonalGaussian(network))


def full() -> Amortized:
    outputs = FullGaussian.num_outputs(2)
    return Amortized(_inputs(), FullGaussian(DenseNetwork(5, (8,), outputs), 2))


def flow() -> Amortized:
    network = DenseNetwork(5, (8,), 4 + 3)
    planar = Planar(2, context_size=3)
    return Amortized(_inputs(), FlowConditional(DiagonalGaussian(nn.Identity()), planar, network))


def auxiliary() -> AuxiliaryVariables:
    def gaussian(num_inputs: int, size: int) -> DiagonalGaussian:
        return DiagonalGaussian(DenseNetwork(num_inputs, (8,), 2 * size))

    return AuxiliaryVariables(_inputs(), gaussian(5, 2), gaussian(7, 2), gaussian(7, 2))


def hamiltonian() -> HamiltonianVariational:
    inverse = DiagonalGaussian(DenseNetwork(6, (8,), 4))
    return HamiltonianVariational(diagonal(), inverse, 2, num_steps=2)


POSTERIORS = {
    "exact": ExactPosterior,
    "diagonal": diagonal,
    "narrow": narrow,
    "full": full,
    "flow": flow,
    "auxiliary": auxiliary,
    "hamiltonian": hamiltonian,
    "refined": lambda: HmcRefined(diagonal()),
    "rejection": lambda: RejectionSampled(diagonal()),
    "resampled": lambda: ImportanceResampled(diagonal(), 5),
    "semi-amortized": lambda: SemiAmortized(diagonal(), 2, num_steps=2),
    "per datum": lambda: PerDatum(3, 2, refinement=Refinement(num_steps=20)),
    "none": lambda: None,
}
