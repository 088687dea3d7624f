"""(model, posterior, batch) -> loss."""

from ancestral.inference.objectives.aggressive import Aggressive, Pace
from ancestral.inference.objectives.closed_form import ClosedForm
from ancestral.inference.objectives.discrepancies import InfoVae, Wasserstein
from ancestral.inference.objectives.maximum_likelihood import MaximumLikelihood
from ancestral.inference.objectives.objective import Loss, Objective
from ancestral.inference.objectives.order_agnostic import OrderAgnostic
from ancestral.inference.objectives.order_cycle import OrderCycle
from ancestral.inference.objectives.penalized import Penalized
from ancestral.inference.objectives.reconstruction import Reconstruction
from ancestral.inference.objectives.sample_matching import ComparedRows, SampleMatching
from ancestral.inference.objectives.variational import Variational
from ancestral.inference.objectives.warm_up import WarmUp
from ancestral.inference.objectives.weighted_kl import Capacity, WeightedKl

__all__ = [
    "Aggressive",
    "Capacity",
    "ClosedForm",
    "ComparedRows",
    "InfoVae",
    "Loss",
    "MaximumLikelihood",
    "Objective",
    "OrderAgnostic",
    "OrderCycle",
    "Pace",
    "Penalized",
    "Reconstruction",
    "SampleMatching",
    "Variational",
    "WarmUp",
    "Wasserstein",
    "WeightedKl",
]
