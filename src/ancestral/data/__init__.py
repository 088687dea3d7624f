"""Data: what they are, where they lie, and batches of them."""

from ancestral.data.adapt import as_source
from ancestral.data.bijections import Affine, Bijection, Compose, Identity, Logit, Standardize
from ancestral.data.binarization import (
    Binarization,
    DynamicallyBinarized,
    statically_binarized,
)
from ancestral.data.conditioned import Conditioned, given_labels
from ancestral.data.dataset import Dataset
from ancestral.data.dequantization import (
    Dequantized,
    as_given,
    floored,
    is_dequantized,
    within_cell,
    without_noise,
)
from ancestral.data.download import Download, download
from ancestral.data.inference import infer_specification
from ancestral.data.load import load_dataset
from ancestral.data.loaders.sound import mu_law, mu_law_inverse
from ancestral.data.masked import Masked
from ancestral.data.memmap import MemmapSource
from ancestral.data.parquet import ParquetSource
from ancestral.data.registry import DATASETS, get_dataset, load_folds
from ancestral.data.source import Source
from ancestral.data.splits import Fractions
from ancestral.data.streaming import StreamedSource
from ancestral.data.tables import encode_table, infer_table
from ancestral.data.tensor_source import TensorSource
from ancestral.data.text_windows import TextWindows
from ancestral.data.vocabulary import Symbols, Vocabulary

__all__ = [
    "DATASETS",
    "Affine",
    "Bijection",
    "Binarization",
    "Compose",
    "Conditioned",
    "Dataset",
    "Dequantized",
    "Download",
    "DynamicallyBinarized",
    "Fractions",
    "Identity",
    "Logit",
    "Masked",
    "MemmapSource",
    "ParquetSource",
    "Source",
    "Standardize",
    "StreamedSource",
    "Symbols",
    "TensorSource",
    "TextWindows",
    "Vocabulary",
    "as_given",
    "as_source",
    "download",
    "encode_table",
    "floored",
    "get_dataset",
    "given_labels",
    "infer_specification",
    "infer_table",
    "is_dequantized",
    "load_dataset",
    "load_folds",
    "mu_law",
    "mu_law_inverse",
    "statically_binarized",
    "within_cell",
    "without_noise",
]
