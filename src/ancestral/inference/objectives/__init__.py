"""(model, posterior, batch) -> loss."""

from ancestral.inference.objectives.closed_form import ClosedForm
from ancestral.inference.objectives.maximum_likelihood import MaximumLikelihood
from ancestral.inference.objectives.objective import Loss, Objective
from ancestral.inference.objectives.order_agnostic import OrderAgnostic
from ancestral.inference.objectives.order_cycle import OrderCycle
from ancestral.inference.objectives.penalized import Penalized
from ancestral.inference.objectives.reconstruction import Reconstruction
from ancestral.inference.objectives.variational import Variational, WarmUp

__all__ = [
    "ClosedForm",
    "Loss",
    "MaximumLikelihood",
    "Objective",
    "OrderAgnostic",
    "OrderCycle",
    "Penalized",
    "Reconstruction",
    "Variational",
    "WarmUp",
]
