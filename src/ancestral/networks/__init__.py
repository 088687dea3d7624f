"""Tensors to tensors; knows no probability."""

from ancestral.networks.convolutional import AsImage, ConvolutionalDecoder, ConvolutionalEncoder
from ancestral.networks.dense import DenseNetwork, ResidualNetwork
from ancestral.networks.features import InputFeatures
from ancestral.networks.hidden_inputs import HiddenInputs
from ancestral.networks.linear_path import WithLinearPath
from ancestral.networks.noisy import NoisyInputs
from ancestral.networks.shared import SharedParameters
from ancestral.networks.site_maps import SiteMaps

__all__ = [
    "AsImage",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "DenseNetwork",
    "HiddenInputs",
    "InputFeatures",
    "NoisyInputs",
    "ResidualNetwork",
    "SharedParameters",
    "SiteMaps",
    "WithLinearPath",
]
