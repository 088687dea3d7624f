"""Networks whose features meet a context of each site last."""

from case import Case

from ancestral.distributions import Bernoulli, Categorical, site_head
from ancestral.models.autoregressive import AutoregressiveModel
from ancestral.networks.causal import (
    GatedConvolutions,
    LinearCausal,
    MergedContext,
    OneHot,
    Plain,
)

ORDER = [3, 0, 5, 1, 4, 2]


def _masked(model: AutoregressiveModel) -> dict:
    values = model.network.values
    return {"network.values.weight": (~values.mask).expand_as(values.weight)}


def _dense() -> AutoregressiveModel:
    network = MergedContext(LinearCausal(6, 4, Plain(), order=ORDER), 1)
    return AutoregressiveModel(network, site_head(Bernoulli((2, 3)), 6), (2, 3))


def _image() -> AutoregressiveModel:
    values = GatedConvolutions(
        (2, 3, 1), 4, OneHot(3), size=3, num_layers=2, kernel_size=3, first_kernel_size=3
    )
    network = MergedContext(values, 3, shares_bias=True)
    return AutoregressiveModel(network, site_head(Categorical((2, 3), 3), 6), (2, 3))


CASES = [
    Case("merged-dense-other-order", _dense, unused=_masked),
    Case("merged-gated-image", _image, num_codes=3, learns_copy=False),
]
