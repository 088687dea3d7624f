"""The variance of every gradient estimator on the same small problems, and whether it is biased.

    python benchmarks/gradient_variance.py [--picture docs/gradient_variance.png]

Each problem has an exact gradient: a toy with one bit, three binary latent variables that are
enumerated, and probabilistic PCA. A batch holds the same datum many times, with parameters of q of
its own for each, so that one call gives as many independent estimates of the gradient by q's
parameters. Printed are the largest |z| of their mean against the exact gradient, and the sum of
their variances. Estimators that learn do so first, for 300 steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from ancestral.core import Batch
from ancestral.distributions import Bernoulli, DiagonalNormal
from ancestral.inference.bounds import Elbo, ImportanceWeighted
from ancestral.inference.gradients import (
    Concrete,
    DoublyReparameterized,
    Enumerated,
    KlPenalty,
    LeaveOneOut,
    MuProp,
    Pathwise,
    PathwiseClosedFormKl,
    Rebar,
    Relax,
    RunningMean,
    ScoreFunction,
    StickTheLanding,
    StraightThrough,
    Vimco,
)
from ancestral.inference.posteriors import DiscreteLayers, ParametricPosterior
from ancestral.models import FreePrior, LatentVariableModel, NetworkConditional, ProbabilisticPCA
from ancestral.plots import VariancePanel, estimator_variances, save

NUM_ROWS, NUM_SAMPLES, NUM_BITS = 10_000, 4, 3


class Bits(ParametricPosterior):
    """Bernoulli units with logits of each row's own."""

    reparameterized = False

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def distribution(self, model, batch):
        return DiscreteLayers((Bernoulli((self.logits.shape[-1],)),), self.logits)


class Gaussians(ParametricPosterior):
    """Diagonal Gaussians with parameters of each row's own."""

    def __init__(self, loc: Tensor, log_scale: Tensor) -> None:
        super().__init__()
        self.loc, self.log_scale = nn.Parameter(loc), nn.Parameter(log_scale)

    def distribution(self, model, batch):
        return DiagonalNormal(self.loc, self.log_scale)


class SquaredDistance(nn.Module):
    """(z - p0)^2 in the place of log p(x | z)."""

    def log_prob(self, y, context=None, observed=None):
        return (context - 0.499).square().sum(-1)


def gradients(estimator, bound, model, posterior, batch, penalty) -> Tensor:
    """[rows, parameters of a row]; the loss is a mean over the rows."""
    loss = estimator.surrogate(bound, model, posterior, batch, penalty).loss
    found = torch.autograd.grad(loss, list(posterior.parameters()))
    return torch.cat(found, -1) * len(batch)


def trained(estimator, *problem) -> None:
    if not isinstance(estimator, nn.Module):
        return
    learnt = list(estimator.parameters())
    optimizer = torch.optim.Adam(learnt, lr=0.02) if learnt else None
    for _ in range(300):
        loss = estimator.surrogate(*problem).loss
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def toy(rows: int):
    model = LatentVariableModel(FreePrior(Bernoulli((1,))), SquaredDistance())
    return model, Bits(torch.full((rows, 1), 0.5)), Batch(torch.zeros(rows, 1)), KlPenalty(0.0)


def binary(rows: int):
    torch.manual_seed(1)
    prior = FreePrior(Bernoulli((NUM_BITS,)))
    decoder = nn.Linear(NUM_BITS, 12)
    nn.init.normal_(decoder.weight, std=1.5)
    nn.init.normal_(decoder.bias)
    model = LatentVariableModel(prior, NetworkConditional(decoder, Bernoulli((12,))))
    with torch.no_grad():
        x = model.sample(1).expand(rows, -1)
    return model, Bits(torch.randn(NUM_BITS).repeat(rows, 1)), Batch(x), KlPenalty()


def gaussian(rows: int):
    torch.manual_seed(0)
    model = ProbabilisticPCA((6,), 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        x = model.sample(1)
        q = model.posterior(x)
        loc, log_scale = q.mean + 0.2, 0.5 * q.variance.log() + 0.2
    posterior = Gaussians(loc.repeat(rows, 1), log_scale.expand(1, -1).repeat(rows, 1))
    return model, posterior, Batch(x.expand(rows, -1)), KlPenalty()


def analytic(model: ProbabilisticPCA, q: Gaussians, x: Tensor) -> Tensor:
    """The ELBO of probabilistic PCA, by the moments of q."""
    w, variance = model.weight, model.noise_scale.square()
    residual = x - q.loc @ w.T - model.loc
    spread = ((w**2) @ (2 * q.log_scale).exp().T).sum(0)
    fit = -0.5 * (residual.square().sum(-1) + spread) / variance
    kl = 0.5 * ((2 * q.log_scale).exp() + q.loc**2 - 1) - q.log_scale
    return fit - kl.sum(-1)


DISCRETE = {
    "REINFORCE": ScoreFunction,
    "  running mean": lambda: ScoreFunction(RunningMean()),
    "  leave one out": lambda: ScoreFunction(LeaveOneOut()),
    "MuProp": MuProp,
    "REBAR": Rebar,
    "RELAX": lambda: Relax((NUM_BITS,), 16),
    "Concrete, t = 0.5": lambda: Concrete(0.5),
    "straight-through": lambda: StraightThrough(1.0),
    "enumerated": Enumerated,
}
WEIGHTED = {
    "REINFORCE": ScoreFunction,
    "  running mean": lambda: ScoreFunction(RunningMean()),
    "VIMCO": Vimco,
    "Concrete, t = 0.5": lambda: Concrete(0.5),
    "straight-through": lambda: StraightThrough(1.0),
    "enumerated": Enumerated,
}
CONTINUOUS = {
    "REINFORCE": ScoreFunction,
    "  leave one out": lambda: ScoreFunction(LeaveOneOut()),
    "pathwise": Pathwise,
    "pathwise, closed KL": PathwiseClosedFormKl,
    "stick the landing": StickTheLanding,
}
BIASED = ("Concrete, t = 0.5", "straight-through")


def measured(title: str, make, bound, choices) -> VariancePanel:
    variances = []
    print(f"\n{title}\n{'estimator':22} {'largest |z|':>12} {'variance':>12}")
    for name, estimator_of in choices.items():
        estimator = Relax((1,), 16) if name == "RELAX" and make is toy else estimator_of()
        model, posterior, batch, penalty = make(200)
        trained(estimator, bound, model, posterior, batch, penalty)
        # rows alike need to be summed over once
        rows = 2 if name == "enumerated" else NUM_ROWS
        model, posterior, batch, penalty = make(rows)
        torch.manual_seed(7)
        found = gradients(estimator, bound, model, posterior, batch, penalty)
        exact = exact_gradient(make, bound)
        std_error = found.std(0) / rows**0.5
        difference = found.mean(0) - exact
        z = float((difference / std_error.clamp_min(1e-12)).abs().max())
        variance = float(found.var(0).sum())
        variances.append(variance if variance > 1e-20 else 0.0)
        shown = (
            "exact" if variances[-1] == 0 and float(difference.abs().max()) < 1e-9 else f"{z:.1f}"
        )
        print(f"{name:22} {shown:>12} {variances[-1]:12.3g}")
    # an axis of logarithms has no place for what is exact
    noisy = [(name, v) for name, v in zip(choices, variances, strict=True) if v > 0]
    names, positive = zip(*noisy, strict=True)
    return VariancePanel(title, names, positive, [name in BIASED for name in names])


def exact_gradient(make, bound) -> Tensor:
    """Of the loss, by the parameters of one row."""
    model, posterior, batch, penalty = make(2)
    if make is gaussian:
        loss = -analytic(model, posterior, batch.x).mean()
        return (torch.cat(torch.autograd.grad(loss, list(posterior.parameters())), -1) * 2)[0]
    if make is toy:  # d/dlogit of E[(z - p0)^2] = (1 - 2 p0) p (1 - p)
        p = posterior.logits[0].detach().sigmoid()
        return -(1 - 2 * 0.499) * p * (1 - p)
    return gradients(Enumerated(), bound, model, posterior, batch, penalty)[0]


def signal_to_noise() -> None:
    print("\nprobabilistic PCA, importance-weighted bound: mean |signal| / noise of q's gradient")
    counts = (1, 4, 16, 64)
    print(f"{'K':22}" + "".join(f"{count:>8}" for count in counts))
    for name, estimator in (("pathwise", Pathwise()), ("DReG", DoublyReparameterized())):
        ratios = []
        for count in counts:
            problem = gaussian(NUM_ROWS)
            torch.manual_seed(7)
            found = gradients(estimator, ImportanceWeighted(count), *problem)
            ratios.append(float((found.mean(0).abs() / found.std(0)).mean()))
        print(f"{name:22}" + "".join(f"{ratio:8.3f}" for ratio in ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, default=None)
    picture = parser.parse_args().picture
    torch.set_default_dtype(torch.float64)
    elbo = Elbo(NUM_SAMPLES)
    panels = [
        measured("one bit, E[(z \N{MINUS SIGN} 0.499)\N{SUPERSCRIPT TWO}]", toy, elbo, DISCRETE),
        measured("three bits, ELBO", binary, elbo, DISCRETE),
        measured(
            "three bits, IWAE's bound",
            binary,
            ImportanceWeighted(NUM_SAMPLES),
            WEIGHTED,
        ),
        measured("probabilistic PCA, ELBO", gaussian, elbo, CONTINUOUS),
    ]
    signal_to_noise()
    if picture is not None:
        save(estimator_variances(panels), picture)


if __name__ == "__main__":
    main()
