"""Markov chains on any log-density, all chains and all data as one batch."""

from ancestral.inference.mcmc.effective_size import effective_sample_size
from ancestral.inference.mcmc.hmc import Transition, hmc, langevin
from ancestral.inference.mcmc.l2hmc import L2hmcKernel, jump_loss
from ancestral.inference.mcmc.leapfrog import Phase, leapfrog, position_leapfrog
from ancestral.inference.mcmc.step_size import StepSizeRule
from ancestral.inference.mcmc.tamed import tamed
from ancestral.inference.mcmc.target import Evaluate, LogDensity, Point, evaluated, force

__all__ = [
    "Evaluate",
    "L2hmcKernel",
    "LogDensity",
    "Phase",
    "Point",
    "StepSizeRule",
    "Transition",
    "effective_sample_size",
    "evaluated",
    "force",
    "hmc",
    "jump_loss",
    "langevin",
    "leapfrog",
    "position_leapfrog",
    "tamed",
]
