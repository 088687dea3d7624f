"""The generator network trained by maximum mean discrepancy."""

from __future__ import annotations

from ancestral.core import Kind, OptionError, Specification
from ancestral.estimator import Assembly
from ancestral.inference.objectives import ComparedRows, SampleMatching
from ancestral.models import LatentVariableModel, NetworkConditional, StandardNormalPrior, Units
from ancestral.networks import InputFeatures, ResidualNetwork
from ancestral.recipes.parts import head_for

__all__ = ["mmd_net"]


def mmd_net(
    spec: Specification,
    *,
    latent_size: int = 10,
    hidden_size: int = 512,
    num_blocks: int = 2,
    likelihood: str = "auto",
) -> Assembly:
    """Generator network trained by maximum mean discrepancy (Dziugaite et al., 2015).

    Samples are compared with data, by a kernel: there is no encoder and no bound. It samples; it
    cannot embed, and log p needs `evaluate --method ais`.

    Args:
        spec: what the data are.
        latent_size: latent variables.
        hidden_size: width of the hidden layers.
        num_blocks: residual blocks.
        likelihood: p(x | z) by name; auto: by the kind of the data. Its means are compared with
            the data, or its draws where they pass gradients.
    """
    if spec.missing or Kind.CATEGORICAL in spec.kinds:
        raise OptionError(
            "expected complete rows of cells that have an order, whose samples a kernel can "
            f"compare, got {'rows with gaps' if spec.missing else 'categories'}",
            hint="use `vae`, which takes both",
        )
    head = head_for(spec, likelihood)
    decoder = ResidualNetwork(latent_size, hidden_size, num_blocks, head.num_features)
    model = LatentVariableModel(
        StandardNormalPrior(latent_size), NetworkConditional(decoder, head, Units(spec))
    )
    return Assembly(model, SampleMatching(ComparedRows(InputFeatures(spec))))
