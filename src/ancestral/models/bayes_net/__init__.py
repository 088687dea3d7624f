"""Bayesian networks: tables over a graph, exact log p with any cells missing."""

from ancestral.models.bayes_net.hill_climbing import HillClimbing
from ancestral.models.bayes_net.model import BayesNet
from ancestral.models.bayes_net.structure import ChowLiuTree, FixedStructure, Structure

__all__ = ["BayesNet", "ChowLiuTree", "FixedStructure", "HillClimbing", "Structure"]
