"""Missing cells of latent-variable models whose cells depend on each other even given z."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.applications.imputation import Imputation, few_draws
from ancestral.applications.imputing_noise import Purpose
from ancestral.applications.particles import ParticleFilter, resampled
from ancestral.core import Batch, Estimate
from ancestral.core.noise import noise_for, noise_of_copies, samples_from
from ancestral.inference.evidence import summarized
from ancestral.inference.posteriors import Posterior
from ancestral.models import AutoregressiveLikelihood, LatentVariableModel

__all__ = ["impute_latent_in_order"]

_PARTICLES_OF_ONE = 16  # of the particles that a row without latent variables would get
_ROWS_AT_ONCE = 1000  # (sample, datum) pairs filtered together, at most
_FEATURES = 1 << 24  # of their contexts: 64 MB
_ADVICE = "take more samples or particles"


def impute_latent_in_order(
    model: LatentVariableModel,
    posterior: Posterior,
    batch: Batch,
    num_samples: int,
    settings: ParticleFilter,
) -> Imputation:
    r"""z_s ~ q(z | x_obs), and for each z_s a particle filter over the cells of p(x | z_s).

    The filter estimates p(x_obs | z_s) without bias and proposes x_mis; so with the weights

    .. math:: w_s = p(z_s)\, \hat p(x_{obs} | z_s) / q(z_s | x_{obs})

    the completions are of p(x_mis | x_obs), and the mean weight is an unbiased estimate of
    p(x_obs). Where the observed cells come first in the decoder's order the filter is exact.

    Args:
        model: p, with an `AutoregressiveLikelihood`.
        posterior: q; one trained on complete rows may propose badly, which the weights show.
        batch: rows, with `observed`.
        num_samples: of z for each row, and of completions.
        settings: of the filter, a sixteenth of whose particles each z gets.

    References:
        | Andrieu & Roberts (2009), The pseudo-marginal approach for efficient Monte Carlo
        | computations
    """
    likelihood, observed = model.likelihood, batch.observed
    assert isinstance(likelihood, AutoregressiveLikelihood)
    assert observed is not None
    propose = posterior.adapted(model, batch).proposal(model, batch)
    network = likelihood.model.network
    num_particles = max(2, settings.num_particles // _PARTICLES_OF_ONE)
    of_one = num_particles * network.num_sites * max(network.context_size, network.num_features)
    chunk = max(1, min(_ROWS_AT_ONCE, _FEATURES // of_one) // len(batch))
    drawn, log_weights = [], []
    for first in range(0, num_samples, chunk):
        count = min(chunk, num_samples - first)
        with noise_for(Purpose.LATENTS), samples_from(first, count):
            z, log_q = propose(count)
        with noise_for(Purpose.COPIES), noise_of_copies(first, count):
            x, log_evidence = _filtered(likelihood, batch, z, num_particles, settings)
        drawn.append(x)
        log_weights.append(model.log_prior(z) + log_evidence - log_q)
    samples = torch.where(observed.unsqueeze(1), batch.x.unsqueeze(1), torch.cat(drawn, 1))
    log_w, dtype = torch.cat(log_weights), batch.x.dtype
    found = summarized(log_w)
    assert found.ess is not None
    assert found.std_error is not None
    said = (
        f"by importance sampling of the latent variables, {num_samples:,} "
        f"{'sample' if num_samples == 1 else 'samples'} with {num_particles} particles each"
    )
    return Imputation(
        samples,
        log_w.double().softmax(0).T.to(dtype),
        observed,
        found.ess.to(dtype),
        Estimate(found.value.to(dtype), "lower_bound", std_error=found.std_error.to(dtype)),
        (said,) * len(batch),
        few_draws(found.ess, num_samples, "samples of the latent variables", _ADVICE),
    )


def _filtered(
    likelihood: AutoregressiveLikelihood,
    batch: Batch,
    z: Tensor,
    num_particles: int,
    settings: ParticleFilter,
) -> tuple[Tensor, Tensor]:
    """A completion for each z, [batch, samples, *x], and log of the estimated p(x_obs | z)."""
    model, observed = likelihood.model, batch.observed
    assert observed is not None
    count = len(z)
    sites = model.to_sites(torch.where(observed, batch.x, 0.0))
    seen = observed.reshape(sites.shape)
    given = likelihood.given(z).flatten(0, 1)
    x, known = sites.repeat(count, 1, 1), seen.repeat(count, 1, 1)
    found = settings(model.network, model.head, x, known, num_particles, given)
    x = (
        model.from_sites(resampled(found, 1).squeeze(1))
        .unflatten(0, (count, len(batch)))
        .transpose(0, 1)
    )
    log_evidence = found.log_evidence.reshape(count, len(batch)).to(batch.x.dtype)
    if model.units is not None:
        log_evidence = log_evidence + model.units.log_det(observed)
    return x, log_evidence
