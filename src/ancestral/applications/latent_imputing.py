"""Missing cells of latent-variable models: z by importance, then x given z."""

from __future__ import annotations

import torch

from ancestral.applications.imputation import Imputation, few_draws
from ancestral.core import Batch, Estimate, NotExact
from ancestral.distributions import CellHead, Head, Product
from ancestral.inference.evidence import summarized
from ancestral.inference.posteriors import ExactPosterior, Posterior
from ancestral.models import LatentVariableModel, exact_log_prob
from ancestral.models.exact import ExactLogProb

__all__ = ["impute_latent", "separate_head"]

_ROWS_AT_ONCE = 1000  # (sample, datum) pairs decoded together, at most
_FEATURES = 1 << 24  # of them: 64 MB
_ADVICE = "take more samples, or train on rows with gaps"


def impute_latent(
    model: LatentVariableModel, posterior: Posterior, batch: Batch, num_samples: int
) -> Imputation:
    r"""z_s ~ q(z | x_obs) with weights p(x_obs, z_s) / q(z_s | x_obs), then x_mis ~ p(x | z_s).

    Given z, the missing cells do not depend on the observed ones; so the weighted samples are
    of p(x_mis | x_obs), as far as the samples of z suffice: exactly, where q is the posterior.

    Args:
        model: p.
        posterior: q; one trained on complete rows may propose badly, which the weights show.
        batch: rows, with `observed`.
        num_samples: of each row.

    Raises:
        NotExact: cells depend on each other even given z.

    References:
        | Rezende, Mohamed & Wierstra (2014), Stochastic backpropagation, appendix F
        | Mattei & Frellsen (2019), MIWAE: section 3 (importance weights for missing cells)
    """
    head = separate_head(model)
    adapted = posterior.adapted(model, batch)
    propose = adapted.proposal(model, batch)
    num_pairs = min(_ROWS_AT_ONCE, _FEATURES // head.num_features)
    chunk = max(1, num_pairs // len(batch))
    log_weights, drawn = [], []
    for first in range(0, num_samples, chunk):
        z, log_q = propose(min(chunk, num_samples - first))
        log_weights.append(model.log_joint(batch.x, z, batch.observed) - log_q)
        drawn.append(model.likelihood.sample(z))
    observed = batch.observed
    assert observed is not None
    x = torch.cat(drawn).transpose(0, 1)
    samples = torch.where(observed.unsqueeze(1), batch.x.unsqueeze(1), x)
    log_w = torch.cat(log_weights)
    if isinstance(posterior, ExactPosterior) and isinstance(model, ExactLogProb):
        value = exact_log_prob(model, batch)
        equal = value.new_full((len(batch), num_samples), 1 / num_samples)
        evidence = Estimate(value, "exact", std_error=torch.zeros_like(value))
        ess = value.new_full((len(batch),), float(num_samples))
        said = "exactly, from the posterior of the latent variables"
        return Imputation(samples, equal, observed, ess, evidence, (said,) * len(batch))
    found = summarized(log_w)
    assert found.ess is not None
    assert found.std_error is not None
    dtype = batch.x.dtype
    said = f"by importance sampling of the latent variables, {num_samples} samples"
    return Imputation(
        samples,
        log_w.double().softmax(0).T.to(dtype),
        observed,
        found.ess.to(dtype),
        Estimate(found.value.to(dtype), "lower_bound", std_error=found.std_error.to(dtype)),
        (said,) * len(batch),
        few_draws(found.ess, num_samples, "samples of the latent variables", _ADVICE),
    )


def separate_head(model: LatentVariableModel) -> Head:
    """The head of a likelihood whose cells are independent given z.

    Raises:
        NotExact: the likelihood has no such head.
    """
    head = getattr(model.likelihood, "head", None)
    heads = [part for _, part in head.parts] if isinstance(head, Product) else [head]
    for one in heads:
        if not isinstance(one, CellHead):
            what = model.likelihood if one is None else one
            raise NotExact(
                f"the cells of a {type(what).__name__} depend on each other even given the latent "
                "variables, and drawing them apart would be wrong",
                hint="fit with a likelihood of separate cells to impute",
            )
    assert isinstance(head, Head)
    return head
