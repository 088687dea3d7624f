"""Lossless compression by a model, and lossy messages."""

from ancestral.applications.compression.codec import Codec, CodingOptions, Encoded
from ancestral.applications.compression.compressed import Compressed, Decompressed
from ancestral.applications.compression.compressing import Coder
from ancestral.applications.compression.container import CorruptFile
from ancestral.applications.compression.documents import Document, Reading, array_document
from ancestral.applications.compression.lossy_file import LossyFile, lossy_file

__all__ = [
    "Codec",
    "Coder",
    "CodingOptions",
    "Compressed",
    "CorruptFile",
    "Decompressed",
    "Document",
    "Encoded",
    "LossyFile",
    "Reading",
    "array_document",
    "lossy_file",
]
