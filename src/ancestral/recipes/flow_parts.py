"""Parts of variational autoencoders whose posterior goes through a flow."""

from __future__ import annotations

from ancestral.core import Specification
from ancestral.estimator import Assembly
from ancestral.flows import Affine, Composed, Flow, FlowConditional
from ancestral.inference.bounds import Elbo
from ancestral.inference.gradients import GradientEstimator
from ancestral.inference.objectives import Variational, WarmUp
from ancestral.inference.posteriors import Amortized
from ancestral.models import LatentVariableModel, NetworkConditional, StandardNormalPrior, Units
from ancestral.recipes.parts import dense_pair, head_for

__all__ = ["flow_autoencoder"]


def flow_autoencoder(
    spec: Specification,
    flow: Flow,
    gradient: GradientEstimator,
    *,
    hidden_size: int,
    num_blocks: int,
    dropout: float,
    likelihood: str,
    kl_warm_up: int,
) -> Assembly:
    """The networks of `vae`, and a posterior that is standard noise, a flow and an affine map.

    The affine map is the diagonal Gaussian of `vae`: it comes last, so that the flow acts on
    noise of unit scale, and the posterior starts as that Gaussian. The encoder gives the context
    of both.
    """
    head = head_for(spec, likelihood)
    inputs, encoder, decoder = dense_pair(
        spec,
        head,
        flow.num_dims,
        flow.context_size,
        hidden_size=hidden_size,
        num_blocks=num_blocks,
        dropout=dropout,
    )
    whole = Composed([flow, Affine(flow.num_dims, context_size=flow.context_size)])
    posterior = Amortized(
        inputs, FlowConditional(StandardNormalPrior(flow.num_dims), whole, encoder)
    )
    prior = StandardNormalPrior(flow.num_dims)
    model = LatentVariableModel(prior, NetworkConditional(decoder, head, Units(spec)))
    return Assembly(model, Variational(Elbo(), gradient, WarmUp(kl_warm_up)), posterior)
