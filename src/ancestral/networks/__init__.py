"""Tensors to tensors; knows no probability."""

from ancestral.networks.convolutional import AsImage, ConvolutionalDecoder, ConvolutionalEncoder
from ancestral.networks.dense import DenseNetwork, ResidualNetwork
from ancestral.networks.features import InputFeatures
from ancestral.networks.shared import SharedParameters

__all__ = [
    "AsImage",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "DenseNetwork",
    "InputFeatures",
    "ResidualNetwork",
    "SharedParameters",
]
