"""Autoregressive models: p(x) = prod_t p(x_t | x_<t), exact."""

from ancestral.models.autoregressive.decoding import Choice, decode, draw_site
from ancestral.models.autoregressive.ensemble import OrderEnsemble, random_orders
from ancestral.models.autoregressive.model import AutoregressiveModel
from ancestral.models.autoregressive.sampling import Drawn, SamplingMethod
from ancestral.models.autoregressive.truncation import Truncation

__all__ = [
    "AutoregressiveModel",
    "Choice",
    "Drawn",
    "OrderEnsemble",
    "SamplingMethod",
    "Truncation",
    "decode",
    "draw_site",
    "random_orders",
]
