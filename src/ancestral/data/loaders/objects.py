"""Arrays, tensors, dictionaries of them, DataFrames and AnnData, already in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ancestral.core.errors import DataError
from ancestral.data.loaders.csv import raw_from_frame
from ancestral.data.loaders.h5ad import is_anndata, raw_from_anndata
from ancestral.data.loaders.npz import raw_from_arrays
from ancestral.data.raw import Raw, ReadOptions, Rows

__all__ = ["raw_from_object"]


def raw_from_object(data: Any, options: ReadOptions) -> Raw:
    """Rows of an object.

    Raises:
        DataError: it is of no known type.
    """
    if is_anndata(data):
        return raw_from_anndata(data, options, "the AnnData")
    if type(data).__name__ == "DataFrame" and hasattr(data, "iloc"):
        return raw_from_frame(data, options, "the DataFrame")
    if isinstance(data, Mapping):
        options.refuse_columns("a dictionary of arrays")
        return raw_from_arrays({str(k): _array(v) for k, v in data.items()}, "the dictionary")
    options.refuse_columns("an array")
    return Raw({"all": Rows(_array(data))}, provenance="the array")


def _array(data: Any) -> np.ndarray:
    if isinstance(data, Tensor):
        return data.detach().cpu().numpy()
    if isinstance(data, (np.ndarray, list, tuple)):
        try:
            return np.asarray(data)
        except ValueError as error:
            raise DataError("expected rows of one length, got different ones") from error
    raise DataError(
        f"expected a name, a path, an array, a DataFrame or an AnnData, got {type(data).__name__}"
    )
