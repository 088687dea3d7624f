"""Autoregressive models: p(x) = prod_t p(x_t | x_<t), exact."""

from ancestral.models.autoregressive.decoding import Choice, decode, draw_site
from ancestral.models.autoregressive.embedding import features_of
from ancestral.models.autoregressive.ensemble import OrderEnsemble, random_orders
from ancestral.models.autoregressive.model import AutoregressiveModel
from ancestral.models.autoregressive.running import (
    check_running,
    continue_running,
    log_prob_running,
)
from ancestral.models.autoregressive.sampling import Drawn, SamplingMethod
from ancestral.models.autoregressive.truncation import Truncation

__all__ = [
    "AutoregressiveModel",
    "Choice",
    "Drawn",
    "OrderEnsemble",
    "SamplingMethod",
    "Truncation",
    "check_running",
    "continue_running",
    "decode",
    "draw_site",
    "features_of",
    "log_prob_running",
    "random_orders",
]
