"""Linear networks."""

from case import Case

from ancestral.distributions import Bernoulli, Categorical, Normal, site_head
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import LinearCausal, OneHot, Plain

ORDER = [3, 0, 5, 1, 4, 2]


def _masked(model: AutoregressiveModel) -> dict:
    network = model.network
    return {"network.weight": (~network.mask).expand_as(network.weight)}


def _fvsbn() -> AutoregressiveModel:
    return AutoregressiveModel(LinearCausal(8, 1, Plain()), site_head(Bernoulli((8,)), 8), (8,))


def _reordered() -> AutoregressiveModel:
    network = LinearCausal(6, 1, Plain(), order=ORDER, context_size=3)
    return AutoregressiveModel(network, site_head(Bernoulli((2, 3)), 6), (2, 3))


def _categorical() -> AutoregressiveModel:
    network = LinearCausal(5, 3, OneHot(3))
    return AutoregressiveModel(network, site_head(Categorical((5,), 3), 5), (5,))


def _lags() -> AutoregressiveModel:
    network = LinearCausal(7, 1, Plain(), lags=2)
    return AutoregressiveModel(network, site_head(Bernoulli((7,)), 7), (7,))


def _real() -> AutoregressiveModel:
    return AutoregressiveModel(LinearCausal(5, 2, Plain()), site_head(Normal((5,)), 5), (5,))


CASES = [
    Case("fvsbn", _fvsbn, unused=_masked),
    Case("fvsbn, order and context", _reordered, unused=_masked, learns_copy=False),
    Case("fvsbn, categorical", _categorical, num_codes=3, unused=_masked),
    Case("logistic_ar", _lags, sees=lambda lag: lag <= 2, unused=_masked),
    Case("linear Gaussian", _real, num_codes=None, enumerable=False, unused=_masked),
]
