"""Heads, which turn features into distributions, and the Gaussians of latent variables."""

from ancestral.distributions.bernoulli import Bernoulli
from ancestral.distributions.beta import Beta
from ancestral.distributions.categorical import Categorical
from ancestral.distributions.cells import CellHead
from ancestral.distributions.chain import Chain, Factor
from ancestral.distributions.column_sites import ColumnSites, site_head
from ancestral.distributions.continuous_bernoulli import ContinuousBernoulli
from ancestral.distributions.counts import (
    NegativeBinomial,
    Poisson,
    ZeroInflatedNegativeBinomial,
)
from ancestral.distributions.coupled_logistic import CoupledLogistic, CoupledLogisticSites
from ancestral.distributions.defaults import default_head
from ancestral.distributions.dirichlet import Dirichlet
from ancestral.distributions.discrepancy import (
    Discrepancy,
    GaussianKernel,
    InverseMultiquadratic,
    Kernel,
    MaximumMeanDiscrepancy,
    SlicedWasserstein,
    mmd_squared,
    sliced_wasserstein_squared,
    squared_distances,
)
from ancestral.distributions.discretized_logistic import DiscretizedLogistic
from ancestral.distributions.full_covariance import FullCovarianceNormal
from ancestral.distributions.fused_bernoulli import bernoulli_log_prob
from ancestral.distributions.gamma import Gamma
from ancestral.distributions.gaussian import DiagonalNormal, FullNormal, StandardNormal
from ancestral.distributions.head import Head
from ancestral.distributions.kl import has_closed_form_kl, kl_terms
from ancestral.distributions.location_scale import Cauchy, Laplace, Logistic, StudentT
from ancestral.distributions.mixture import Mixture, SiteMixture
from ancestral.distributions.names import LIKELIHOODS, named_head
from ancestral.distributions.native_draws import native_draw
from ancestral.distributions.normal import FixedScaleNormal, Normal
from ancestral.distributions.normal_mixture import NormalMixture
from ancestral.distributions.one_hot import OneHot
from ancestral.distributions.positive import Exponential, LogNormal
from ancestral.distributions.product import Product
from ancestral.distributions.sites import Site, SiteHead
from ancestral.distributions.truncated_normal import TruncatedNormal
from ancestral.distributions.uniform_sites import CellSite, UniformSites
from ancestral.distributions.wrapper import HeadDistribution

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "Beta",
    "Categorical",
    "Cauchy",
    "CellHead",
    "CellSite",
    "Chain",
    "ColumnSites",
    "ContinuousBernoulli",
    "CoupledLogistic",
    "CoupledLogisticSites",
    "DiagonalNormal",
    "Dirichlet",
    "Discrepancy",
    "DiscretizedLogistic",
    "Exponential",
    "Factor",
    "FixedScaleNormal",
    "FullCovarianceNormal",
    "FullNormal",
    "Gamma",
    "GaussianKernel",
    "Head",
    "HeadDistribution",
    "InverseMultiquadratic",
    "Kernel",
    "Laplace",
    "LogNormal",
    "Logistic",
    "MaximumMeanDiscrepancy",
    "Mixture",
    "NegativeBinomial",
    "Normal",
    "NormalMixture",
    "OneHot",
    "Poisson",
    "Product",
    "Site",
    "SiteHead",
    "SiteMixture",
    "SlicedWasserstein",
    "StandardNormal",
    "StudentT",
    "TruncatedNormal",
    "UniformSites",
    "ZeroInflatedNegativeBinomial",
    "bernoulli_log_prob",
    "default_head",
    "has_closed_form_kl",
    "kl_terms",
    "mmd_squared",
    "named_head",
    "native_draw",
    "site_head",
    "sliced_wasserstein_squared",
    "squared_distances",
]
