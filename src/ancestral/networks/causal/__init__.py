"""Networks whose output for a site depends on the sites before it; they know no probability."""

from ancestral.networks.causal.blockwise import Blockwise
from ancestral.networks.causal.dilated_conv import (
    Conditioning,
    DilatedConvolutional,
    doubling,
)
from ancestral.networks.causal.direct import DirectOrderAgnosticNADE
from ancestral.networks.causal.encodings import (
    OneHot,
    Plain,
    Pooled,
    SiteEncoding,
    Standardized,
    encoding_for,
)
from ancestral.networks.causal.gated_conv import GatedConvolutions
from ancestral.networks.causal.hidden import HasHiddenUnits, hidden_units
from ancestral.networks.causal.image_lstm import DiagonalBiLstm, ImageLstm, RowLstm
from ancestral.networks.causal.linear import LinearCausal
from ancestral.networks.causal.masked_conv import MaskedConvolutions
from ancestral.networks.causal.masked_dense import MaskedDense
from ancestral.networks.causal.merged import MergedContext
from ancestral.networks.causal.nade import NADE, RNADE, TiedNADE
from ancestral.networks.causal.network import CausalNetwork, State
from ancestral.networks.causal.order_agnostic import GivenAny, OrderAgnosticNADE
from ancestral.networks.causal.ordering import SiteRoles
from ancestral.networks.causal.pixel_cnn_pp import PixelCnnPlusPlus
from ancestral.networks.causal.pixel_recurrent import PixelRecurrent
from ancestral.networks.causal.recurrent import Cell, RecurrentCausal
from ancestral.networks.causal.reordering import reordered
from ancestral.networks.causal.running import Activation
from ancestral.networks.causal.tabular import TabularCausal
from ancestral.networks.causal.transformer import CausalTransformer
from ancestral.networks.causal.until_end import UntilEnd

__all__ = [
    "NADE",
    "RNADE",
    "Activation",
    "Blockwise",
    "CausalNetwork",
    "CausalTransformer",
    "Cell",
    "Conditioning",
    "DiagonalBiLstm",
    "DilatedConvolutional",
    "DirectOrderAgnosticNADE",
    "GatedConvolutions",
    "GivenAny",
    "HasHiddenUnits",
    "ImageLstm",
    "LinearCausal",
    "MaskedConvolutions",
    "MaskedDense",
    "MergedContext",
    "OneHot",
    "OrderAgnosticNADE",
    "PixelCnnPlusPlus",
    "PixelRecurrent",
    "Plain",
    "Pooled",
    "RecurrentCausal",
    "RowLstm",
    "SiteEncoding",
    "SiteRoles",
    "Standardized",
    "State",
    "TabularCausal",
    "TiedNADE",
    "UntilEnd",
    "doubling",
    "encoding_for",
    "hidden_units",
    "reordered",
]
