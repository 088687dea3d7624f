"""What every other folder may import; imports nothing of ours."""

from ancestral.core.accumulating import Accumulated
from ancestral.core.batch import Batch, as_batch
from ancestral.core.conditional import Conditional, DataDependent
from ancestral.core.draws import Draws
from ancestral.core.errors import (
    AncestralError,
    DataError,
    IncompatibleChoices,
    NonFiniteLoss,
    NotExact,
    OptionError,
    RunError,
    ShapeError,
)
from ancestral.core.estimate import Estimate
from ancestral.core.freezing import frozen
from ancestral.core.precision import Precision, matrix_products
from ancestral.core.registry import Registry
from ancestral.core.seeding import derived_seed, seeded
from ancestral.core.specification import Column, Kind, Specification
from ancestral.core.validation import validation_kept

__all__ = [
    "Accumulated",
    "AncestralError",
    "Batch",
    "Column",
    "Conditional",
    "DataDependent",
    "DataError",
    "Draws",
    "Estimate",
    "IncompatibleChoices",
    "Kind",
    "NonFiniteLoss",
    "NotExact",
    "OptionError",
    "Precision",
    "Registry",
    "RunError",
    "ShapeError",
    "Specification",
    "as_batch",
    "derived_seed",
    "frozen",
    "matrix_products",
    "seeded",
    "validation_kept",
]
