"""Per-datum variational parameters: stochastic variational inference without an encoder."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ancestral.core import Batch, IncompatibleChoices, ShapeError, frozen, seeded
from ancestral.core.noise import shared_noise
from ancestral.distributions import DiagonalNormal, kl_terms
from ancestral.inference.posteriors.amortized import Amortized
from ancestral.inference.posteriors.posterior import ParametricPosterior
from ancestral.models import LatentVariableModel

__all__ = ["ColdStart", "FittedRows", "PerDatum", "Refinement", "WarmStart"]


@dataclass(frozen=True)
class Refinement:
    """How q's parameters are fitted to data that were not in training: Adam on the ELBO.

    Args:
        num_steps: gradient steps.
        learning_rate: of Adam at first; it falls linearly to 0, and the noise of q with it.
        num_samples: Monte Carlo samples for each step.
    """

    num_steps: int = 200
    learning_rate: float = 0.2
    num_samples: int = 8


@dataclass(frozen=True)
class ColdStart:
    """New data start from the prior."""

    def start(self, model: LatentVariableModel, batch: Batch) -> tuple[Tensor, Tensor]:
        """Location and log-scale, [batch, latent]."""
        prior = model.prior()
        loc = prior.mean.expand(len(batch), -1)
        return loc, prior.stddev.expand(len(batch), -1).log()


class WarmStart(nn.Module):
    """New data start from an encoder's answer (Kim et al., 2018, semi-amortised inference).

    The encoder is copied, and no longer trained: where data start does not change over time.

    Args:
        encoder: an amortised posterior over a vector z.
    """

    def __init__(self, encoder: Amortized) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).requires_grad_(requires_grad=False).eval()

    def train(self, mode: bool = True) -> WarmStart:  # noqa: FBT001, FBT002
        """Stay in evaluation mode, so that dropout has no say in where data start."""
        del mode
        return self

    def start(self, model: LatentVariableModel, batch: Batch) -> tuple[Tensor, Tensor]:
        """Location and log-scale, [batch, latent]."""
        q = self.encoder.distribution(model, batch)
        return q.mean, q.stddev.log()


class PerDatum(ParametricPosterior):
    r"""q(z | x_i) = N(m_i, diag(s_i^2)), with free m_i and s_i for each training datum i.

    There is no amortisation gap, at the price of an optimisation for each new datum
    (`adapted`). Rows are found by `Batch.index`.

    Args:
        num_data: training rows N.
        latent_size: L.
        start: where rows begin; `ColdStart` (the prior) or `WarmStart` (an encoder).
        refinement: how new data are fitted.

    References:
        | Stochastic Variational Inference (Hoffman et al., 2013), local parameters
    """

    def __init__(
        self,
        num_data: int,
        latent_size: int,
        *,
        start: ColdStart | WarmStart | None = None,
        refinement: Refinement | None = None,
    ) -> None:
        super().__init__()
        self.start = start or ColdStart()
        self.refinement = refinement or Refinement()
        self.loc = nn.Parameter(torch.zeros(num_data, latent_size))
        self.log_scale = nn.Parameter(torch.zeros(num_data, latent_size))

    def distribution(self, model: LatentVariableModel, batch: Batch) -> DiagonalNormal:
        """q(z | x) of training rows."""
        del model
        if batch.index is None:
            raise IncompatibleChoices(
                "expected rows of the training data, which have parameters of their own",
                hint="call `adapted` to fit q to new data first",
            )
        return DiagonalNormal(self.loc[batch.index], self.log_scale[batch.index])

    @torch.no_grad()
    def begin(self, model: LatentVariableModel, batch: Batch) -> bool:
        """Set the parameters of training rows to their starting values."""
        if batch.index is None:
            raise IncompatibleChoices("expected training rows with their index, got none")
        loc, log_scale = self.start.start(model, batch)
        self.loc[batch.index] = loc
        self.log_scale[batch.index] = log_scale
        return True

    def adapted(self, model: LatentVariableModel, batch: Batch) -> FittedRows:
        """A posterior fitted to a batch by gradient ascent on its ELBO; p stays as it is.

        The noise of the steps is the same for all rows and at each call, so that the same row
        gets the same q in any company.
        """
        loc, log_scale = (part.detach().clone() for part in self.start.start(model, batch))
        fitted = FittedRows(loc, log_scale)
        options = self.refinement
        # the first gradients, from the prior, are huge where the posterior is sharp: with Adam's
        # usual 0.999 they would slow down all the later steps
        optimizer = torch.optim.Adam(fitted.parameters(), betas=(0.9, 0.95))
        with torch.enable_grad(), frozen(model), seeded(0), shared_noise(axis=1):
            prior = model.prior()
            for step in range(options.num_steps):
                remaining = 1 - step / options.num_steps
                optimizer.param_groups[0]["lr"] = options.learning_rate * remaining
                q = fitted.distribution(model, batch)
                z = q.rsample((options.num_samples,))
                log_likelihood = model.log_likelihood(batch.x, z, batch.observed).mean(0)
                loss = (kl_terms(q, prior).sum(-1) - log_likelihood).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return fitted.requires_grad_(requires_grad=False)


class FittedRows(ParametricPosterior):
    """q(z | x_i) = N(m_i, diag(s_i^2)) of the rows of one batch, in their order.

    Args:
        loc: m, [batch, latent].
        log_scale: log s, [batch, latent].
    """

    def __init__(self, loc: Tensor, log_scale: Tensor) -> None:
        super().__init__()
        self.loc = nn.Parameter(loc)
        self.log_scale = nn.Parameter(log_scale)

    def distribution(self, model: LatentVariableModel, batch: Batch) -> DiagonalNormal:
        """q(z | x) of the rows it was fitted to; the batch is only counted."""
        del model
        if len(batch) != len(self.loc):
            raise ShapeError(
                f"expected the {len(self.loc)} rows that q was fitted to, got {len(batch)}",
                hint="call `adapted` again for other rows",
            )
        return DiagonalNormal(self.loc, self.log_scale)
